import numba
import pytest

from sketch2video.compiled import compiled


def halved(value: float) -> float:
    return value / 2


@pytest.mark.parametrize("writable", [True, False])
def test_a_function_is_compiled_where_nothing_can_be_written_too(monkeypatch, writable):
    compile_ = numba.njit

    def njit(*, cache=False, **options):
        if cache and not writable:
            raise RuntimeError("cannot cache function 'halved': no locator available")
        return compile_(**options)  # this test leaves no files

    monkeypatch.setattr(numba, "njit", njit)
    function = compiled(halved)
    assert function(3.0) == 1.5
    assert len(function.signatures) == 1
