"""Training: one loop (:mod:`~sketch2video.training.loop`) and one file a network that is trained.

Every trained network has one function, which the flow of the same name calls::

    def train_<x>(params: Params, logger: RunLogger, output: Path, *,
                  clips: Path = Path("data/clips"), ...,             # folders that it reads
                  checkpoints: Path = Path("checkpoints")) -> TrainResult

It calls ``torch.manual_seed(params.base.seed)`` before it builds the network, trains it by
:func:`~sketch2video.training.loop.train` in ``folder_for("<x>", settings, inputs, checkpoints)``, and writes what
``save_pretrained`` gives to ``output`` through :func:`~sketch2video.networks.processes.replacing_once`. Metrics that go
into ``reports/<x>.json`` are ``TrainResult.metrics``; they must follow from parameters and data alone (no wall times),
so that an interrupted training ends with the same report as an uninterrupted one.
"""
