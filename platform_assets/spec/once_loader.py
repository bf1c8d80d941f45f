"""A YAML loader for our own tables: safe, with libyaml, and strict about keys written twice."""

from typing import Any

import yaml


class OnceLoader(yaml.CSafeLoader):
    """A safe loader that refuses a key written twice; YAML itself would keep the last one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Return the mapping of `node`.

        Raises:
            yaml.constructor.ConstructorError: a key stands there for the second time.
        """
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                words = f"key {key.value!r} stands here for the second time"
                raise yaml.constructor.ConstructorError(None, None, words, key.start_mark)
            if isinstance(key, yaml.ScalarNode):
                seen.add(key.value)
        return super().construct_mapping(node, deep)
