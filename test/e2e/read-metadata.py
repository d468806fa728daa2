"""Prints what cloud-init itself reads of the metadata at a URL, in a guest: as NoCloud, as OpenStack, as EC2."""

import json
import sys
import tempfile

from cloudinit import distros, helpers
from cloudinit.sources import DataSourceNoCloud, DataSourceOpenStack
from cloudinit.sources.helpers import ec2

url = sys.argv[1]
folder = tempfile.mkdtemp()
paths = helpers.Paths({"cloud_dir": folder + "/lib", "run_dir": folder + "/run"})
distro = distros.fetch("debian")("debian", {}, paths)
# It is asked to read, and not to guess from the firmware which cloud it is in.
DataSourceOpenStack.detect_openstack = lambda **_: True


def read(kind, config):
    source = kind({"datasource_list": [], "datasource": config}, distro, paths)
    if not source.get_data():
        raise SystemExit(f"{kind.__name__} found nothing")
    return {
        "id": source.get_instance_id(),
        "name": source.get_hostname().hostname,
        "keys": source.get_public_ssh_keys(),
        "user": source.get_userdata_raw(),
        "network": source.network_config,
    }


answer = {
    "nocloud": read(
        DataSourceNoCloud.DataSourceNoCloudNet,
        {"NoCloud": {"seedfrom": url + "/nocloud/", "fs_label": None}},
    ),
    "openstack": read(
        DataSourceOpenStack.DataSourceOpenStack, {"OpenStack": {"metadata_urls": [url]}}
    ),
    "ec2": ec2.get_instance_metadata("latest", url),
}
print(json.dumps(answer, default=lambda value: value.decode()))
