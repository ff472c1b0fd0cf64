"""Peer of `episode_dataset`: PyTorch's `DataLoader` of the plain sampler."""

from benchmarks.hyperparameters import META_BATCH
from benchmarks.peers.python_episodes import python_episodes
from benchmarks.workers import Step

LOADER_PROCESSES = 2


def loader_step(images, codes, setting):
    """Draws a meta-batch through the loader."""
    import torch

    class Episodes(torch.utils.data.IterableDataset):
        def __iter__(self):
            worker = torch.utils.data.get_worker_info()
            return python_episodes(images, codes, setting, seed=worker.id)

    loader = torch.utils.data.DataLoader(
        Episodes(),
        batch_size=META_BATCH,
        num_workers=LOADER_PROCESSES,
        # Forked processes share the images, and need not pickle `Episodes`,
        # which a class inside a function does not allow.
        multiprocessing_context="fork",
    )
    batches = iter(loader)
    return Step(lambda: next(batches))
