"""The running platform reads the applied estate anew, without ending what is going on.

Speaks Dagster's GraphQL (`reloadRepositoryLocation`): the code server loads the definitions once
more beside the old ones; runs that are going on keep theirs.
"""

from ai_how.runs import LOCATION, Dagster
from platform_assets.spec.errors import AiHowError

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


def reload_definitions(dagster: Dagster) -> None:
    """Make the running platform read the applied estate.

    Raises:
        DagsterUnreachable: the webserver does not answer.
        NotReloaded: the definitions do not load, with the reason.
    """
    answer = dagster.ask(_RELOAD, {"location": LOCATION})["reloadRepositoryLocation"]
    loaded = answer.get("locationOrLoadError") or answer
    if loaded["__typename"] != "RepositoryLocation":
        message = (
            f"{dagster.url}: the definitions were not read anew: {loaded['__typename']}: "
            f"{loaded.get('message', '')}; see `ai-how logs code-server`, then `ai-how up`"
        )
        raise NotReloaded(message)
