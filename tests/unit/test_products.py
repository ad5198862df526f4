"""Linear layers, laid out for oneDNN or not."""

import pytest
import torch

from xlrec.encoders import products


@pytest.mark.parametrize(("dtype", "near"), [(torch.float32, 1e-5), (torch.bfloat16, 2**-8), (torch.float16, 0.0)])
def test_a_product_is_the_linear_layers(dtype: torch.dtype, near: float) -> None:
    torch.manual_seed(0)
    layer = torch.nn.Linear(48, 80).to(dtype)
    rows = torch.randn(37, 48).to(dtype)
    with torch.inference_mode():
        found, plain = products.product(layer.weight, layer.bias)(rows), layer(rows)
    assert found.dtype == dtype
    torch.testing.assert_close(found, plain, rtol=near, atol=near)


@pytest.mark.parametrize("missing", ["operators", "instructions"])
def test_where_torch_has_no_such_product_the_plain_layer_is_taken(
    monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    if missing == "operators":
        monkeypatch.setattr(torch.ops, "mkldnn", object())
    else:
        monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "DEFAULT")
    layer, rows = torch.nn.Linear(48, 80), torch.randn(37, 48)
    with torch.inference_mode():
        assert torch.equal(products.product(layer.weight, layer.bias)(rows), layer(rows))
    assert not products._laid_out(torch.bfloat16)
