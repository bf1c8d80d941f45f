"""Every rule there is, in the order of the modules."""

from platform_assets.spec.rules.gpu_models import GPU_MODEL_RULES
from platform_assets.spec.rules.gpus import GPU_RULES
from platform_assets.spec.rules.grounds import Rule
from platform_assets.spec.rules.host import HOST_RULES
from platform_assets.spec.rules.iommu import IOMMU_RULES
from platform_assets.spec.rules.mig import MIG_RULES
from platform_assets.spec.rules.pci import PCI_RULES

RULES: tuple[Rule, ...] = (
    PCI_RULES + IOMMU_RULES + GPU_MODEL_RULES + GPU_RULES + MIG_RULES + HOST_RULES
)
