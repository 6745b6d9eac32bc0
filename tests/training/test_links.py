"""Which network interface the workers of one model are linked by."""

import os

import psutil

from mhray.training.links import GLOO, interface_of, link_where_ray_does


def test_the_interface_is_that_with_the_address():
    found = interface_of("127.0.0.1")
    assert "127.0.0.1" in [one.address for one in psutil.net_if_addrs()[found]]


def test_an_interface_that_the_user_has_named_stays(monkeypatch):
    monkeypatch.setenv(GLOO, "eth7")
    link_where_ray_does()
    assert os.environ[GLOO] == "eth7"
