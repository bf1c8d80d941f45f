"""Asset keys, read from the outside in: the first part is the group and the folder."""

import dagster as dg

ESTATE = dg.AssetKey(["infrastructure", "estate"])
TRAINED_CHECKPOINT = dg.AssetKey(["models", "trained_checkpoint"])
PUBLISHED_COPY = dg.AssetKey(["models", "published_copy"])
REGISTERED_VERSION = dg.AssetKey(["models", "registered_version"])
ENDPOINT = dg.AssetKey(["serving", "endpoint"])
LIVE_ENDPOINTS = dg.AssetKey(["serving", "live_endpoints"])
OBJECT_STORE = dg.AssetKey(["services", "object_store"])
MLFLOW = dg.AssetKey(["services", "mlflow"])
MODEL_SERVER = dg.AssetKey(["services", "model_server"])
KSERVE = dg.AssetKey(["services", "kserve"])
HOST_FACTS = dg.AssetKey(["infrastructure", "host_facts"])
GPU_INVENTORY = dg.AssetKey(["infrastructure", "gpu_inventory"])
CAPACITY_PLAN = dg.AssetKey(["infrastructure", "capacity_plan"])

CHECKPOINT_TAG = "ai-how/checkpoint"
ATTEMPT_TAG = "ai-how/attempt"
ENDPOINT_TAG = "endpoint"
PROCESS_TAG = "ai-how/process"
OWNER = "team:platform"
VERIFIED_CHECK = "verified"  # on what a delivery makes: the bytes of everything live, read again
