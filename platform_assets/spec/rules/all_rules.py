"""Every rule there is, in the order of the modules."""

from platform_assets.spec.rules.addresses import ADDRESS_RULES
from platform_assets.spec.rules.gpu_models import GPU_MODEL_RULES
from platform_assets.spec.rules.gpu_operator import GPU_OPERATOR_RULES
from platform_assets.spec.rules.gpus import GPU_RULES
from platform_assets.spec.rules.grounds import Rule
from platform_assets.spec.rules.host import HOST_RULES
from platform_assets.spec.rules.ingress import INGRESS_RULES
from platform_assets.spec.rules.iommu import IOMMU_RULES
from platform_assets.spec.rules.kubernetes import KUBERNETES_RULES
from platform_assets.spec.rules.mig import MIG_RULES
from platform_assets.spec.rules.names import NAME_RULES
from platform_assets.spec.rules.networks import NETWORK_RULES
from platform_assets.spec.rules.nodes import NODE_RULES
from platform_assets.spec.rules.object_stores import OBJECT_STORE_RULES
from platform_assets.spec.rules.pci import PCI_RULES
from platform_assets.spec.rules.ranges import RANGE_RULES
from platform_assets.spec.rules.references import REFERENCE_RULES
from platform_assets.spec.rules.security import SECURITY_RULES
from platform_assets.spec.rules.services import SERVICE_RULES
from platform_assets.spec.rules.serving import SERVING_RULES
from platform_assets.spec.rules.serving_placement import SERVING_PLACEMENT_RULES
from platform_assets.spec.rules.slurm import SLURM_RULES
from platform_assets.spec.rules.storage import STORAGE_RULES
from platform_assets.spec.rules.versions import VERSION_RULES
from platform_assets.spec.rules.virtual_ips import VIRTUAL_IP_RULES

RULES: tuple[Rule, ...] = (
    *NETWORK_RULES,
    *ADDRESS_RULES,
    *RANGE_RULES,
    *VIRTUAL_IP_RULES,
    *NAME_RULES,
    *REFERENCE_RULES,
    *NODE_RULES,
    *PCI_RULES,
    *IOMMU_RULES,
    *GPU_MODEL_RULES,
    *GPU_RULES,
    *MIG_RULES,
    *HOST_RULES,
    *KUBERNETES_RULES,
    *GPU_OPERATOR_RULES,
    *STORAGE_RULES,
    *SLURM_RULES,
    *OBJECT_STORE_RULES,
    *SERVICE_RULES,
    *SERVING_RULES,
    *SERVING_PLACEMENT_RULES,
    *INGRESS_RULES,
    *SECURITY_RULES,
    *VERSION_RULES,
)
