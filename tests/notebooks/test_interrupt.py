"""Stop a kernel while a notebook trains, run the cell again: nothing is lost, nothing is half."""

from __future__ import annotations

import os
import time
from pathlib import Path

import nbformat
import torch
from jupyter_client.manager import start_new_kernel

from perpcore import grid
from perpcore.experiments import train
from perpcore.experiments.results import Store, read_result

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "04_train_reconstruction.ipynb"


def test_an_interrupted_training_cell_can_be_run_again(tmp_path: Path) -> None:
    code = [c.source for c in nbformat.read(NOTEBOOK, 4).cells if c.cell_type == "code"]
    training = next(k for k, source in enumerate(code) if "obtain_all(runs" in source)
    environment = {
        **os.environ,
        "PERPCORE_PRESET": "smoke",
        "PERPCORE_RUNS": str(tmp_path / "runs"),
        "PERPCORE_FIGURES": str(tmp_path / "figures"),
        "PERPCORE_FROM_SHIPPED": "0",
    }
    manager, client = start_new_kernel(cwd=str(NOTEBOOK.parent), env=environment)
    try:

        def run(source: str) -> dict:
            reply = client.execute_interactive(
                source, timeout=200, output_hook=lambda message: None
            )
            return reply["content"]

        for source in code[:training]:
            assert run(source)["status"] == "ok"
        client.execute(code[training])
        while client.get_iopub_msg(timeout=60)["msg_type"] != "stream":
            pass  # the progress bar of the first run
        time.sleep(0.3)
        manager.interrupt_kernel()
        content = client.get_shell_msg(timeout=60)["content"]
        assert (content["status"], content.get("ename")) == ("error", "KeyboardInterrupt")
        finished = Store(tmp_path / "runs").paths()
        runs = grid.recon_runs("smoke")
        assert len(finished) < len(runs)
        before = {path: path.read_bytes() for path in finished}
        assert run(code[training])["status"] == "ok"
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    assert all(path.read_bytes() == content for path, content in before.items())
    for wanted in (runs[0], runs[-1]):
        result = read_result(Store(tmp_path / "runs").result_path(wanted), wanted)
        whole = train(wanted, Store(tmp_path / "other"), "cpu", progress=False)
        assert all(torch.equal(result.weights[n], w) for n, w in whole.weights.items())
