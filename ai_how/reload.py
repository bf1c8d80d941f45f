"""The running platform reads the applied estate anew, without ending what is going on.

Speaks Dagster's GraphQL: the code server is asked which estate it loaded, and where that is another
one it loads its definitions once more (`reloadRepositoryLocation`) beside the old ones; runs that
are going on keep theirs.
"""

from ai_how.runs import LOCATION, Dagster
from platform_assets import keys
from platform_assets.infrastructure.estate import code_version
from platform_assets.spec.applied import AppliedEstate
from platform_assets.spec.errors import AiHowError

_LOADED = """
query Loaded($key: AssetKeyInput!) {
  assetNodeOrError(assetKey: $key) { __typename ... on AssetNode { opVersion } }
}"""
_RELOAD = """
mutation Reload($location: String!) {
  reloadRepositoryLocation(repositoryLocationName: $location) {
    __typename
    ... on WorkspaceLocationEntry {
      locationOrLoadError { __typename ... on PythonError { message } }
    }
    ... on Error { message }
  }
}"""


class NotReloaded(AiHowError):
    """The running platform could not read its definitions anew."""


def ensure_loaded(dagster: Dagster, applied: AppliedEstate) -> bool:
    """Make the running platform read the applied estate; return whether it had another one.

    Raises:
        DagsterUnreachable: the webserver does not answer.
        NotReloaded: the definitions do not load, with the reason.
    """
    node = dagster.ask(_LOADED, {"key": {"path": keys.ESTATE.path}})["assetNodeOrError"]
    if node.get("opVersion") == code_version(applied):
        return False
    answer = dagster.ask(_RELOAD, {"location": LOCATION})["reloadRepositoryLocation"]
    loaded = answer.get("locationOrLoadError") or answer
    if loaded["__typename"] != "RepositoryLocation":
        message = (
            f"{dagster.url}: the definitions were not read anew: {loaded['__typename']}: "
            f"{loaded.get('message', '')}; see `ai-how logs code-server`, then `ai-how up`"
        )
        raise NotReloaded(message)
    return True
