"""The lab with everything that a delivery needs beside Kubernetes: images, object store, KServe."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

from resources.object_store import ObjectStore
from tests.lab.commands import run
from tests.lab.containerd import socket
from tests.lab.images import Image, mlserver_image, storage_container_image
from tests.lab.kserve import ensure_kserve
from tests.lab.lab import Lab
from tests.lab.object_store import LabObjectStore


@dataclass(frozen=True)
class KserveLab:
    """A lab on which InferenceServices are served from its store."""

    lab: Lab
    store: LabObjectStore
    model_server: Image
    storage_container: Image

    @cached_property
    def publisher(self) -> ObjectStore:
        """The store as whoever publishes models sees it."""
        return ObjectStore(self.store.url, self.store.bucket, self.store.writer)


def ensure_kserve_lab(lab: Lab) -> KserveLab:
    """Bring all of it to a lab that is up; what is there already stays."""
    model_server, storage_container = mlserver_image(), storage_container_image()
    with ThreadPoolExecutor(2) as beside:
        imported = beside.submit(give_images, lab, [storage_container, model_server])
        stored = beside.submit(lambda: lab.object_store)
        ensure_kserve(lab, model_server, storage_container)
        imported.result()
        return KserveLab(lab, stored.result(), model_server, storage_container)


def give_images(lab: Lab, images: list[Image]) -> None:
    """Give images to the node, known by digest too, as if pulled from a registry."""
    present = lab.images()
    for image in images:
        if image.name not in present:
            lab.import_image(image.archive)
        if image.pinned not in present:
            ctr = ["ctr", "--address", socket(lab.servers), "--namespace", "k8s.io"]
            run(*ctr, "images", "tag", image.name, image.pinned)
