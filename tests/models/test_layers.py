import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mhray.models.layers import ChannelsLast, drop_path_rates


def test_images_are_laid_out_with_their_channels_last():
    images = torch.randn(2, 3, 4, 5)
    turned = ChannelsLast()(images)
    assert turned.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(turned, images)


@given(st.floats(0, 0.5), st.integers(2, 30))
def test_paths_are_dropped_from_never_to_the_highest_rate(highest, num_blocks):
    rates = list(drop_path_rates(highest, num_blocks))
    assert len(rates) == num_blocks
    assert (rates[0], rates[-1]) == (0.0, pytest.approx(highest))
    assert rates == sorted(rates)
