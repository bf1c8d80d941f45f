"""The partitions of the model assets: one dynamic partition per sealed checkpoint."""

import dagster as dg

# Partition key: <model>.<run>.<first 12 hex digits of the marker's SHA-256>.
CHECKPOINTS = dg.DynamicPartitionsDefinition(name="checkpoints")
