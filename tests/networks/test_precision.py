import os
import subprocess
import sys

import pytest
import torch

PRINT = "from sketch2video.networks.precision import precision; print(precision())"


@pytest.mark.skipif(torch.cuda.is_available(), reason="about CPUs")
@pytest.mark.parametrize("capability", ["default", "avx2"])
def test_a_cpu_that_is_limited_to_older_instructions_has_no_bfloat16(capability: str) -> None:
    environment = os.environ | {"ATEN_CPU_CAPABILITY": capability}
    done = subprocess.run([sys.executable, "-c", PRINT], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "no"
