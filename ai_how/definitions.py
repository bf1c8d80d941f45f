"""What Dagster loads: the definitions of the applied estate."""

from ai_how.build import build_defs
from platform_assets.spec.applied import read_applied, state_dir

defs = build_defs(read_applied(state_dir()))
