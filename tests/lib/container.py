# SPDX-License-Identifier: Apache-2.0
"""Containers of the image, run by podman and runc as a cluster would: no daemon, storage and state in a folder of their own."""
import json
import os
import pathlib
import resource
import subprocess

STORAGE = '[storage]\ndriver = "vfs"\ngraphroot = "%s/storage"\nrunroot = "%s/run"\n'


class Containers:
    def __init__(self, folder):
        """folder: kept from run to run, it holds the base."""
        self.folder, self.names = pathlib.Path(folder), []
        self.folder.mkdir(parents=True, exist_ok=True)
        settings = self.folder / "storage.conf"
        settings.write_text(STORAGE % (self.folder, self.folder), encoding="utf-8")
        self.environment = {**os.environ, "CONTAINERS_STORAGE_CONF": str(settings)}

    def podman(self, *words, check=True, timeout=120):
        done = subprocess.run(["podman", "--cgroup-manager=cgroupfs", "--runtime=runc", "--events-backend=none", *map(str, words)], env=self.environment,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout, check=False)
        assert not check or done.returncode == 0, (words, done.returncode, done.stdout[-3000:], done.stderr[-3000:])
        return done if not check else done.stdout

    def build(self, script, name):
        done = subprocess.run([script, "--bootstrap", name], env=self.environment, capture_output=True, text=True, timeout=1500, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    def look(self, image):
        return json.loads(self.podman("image", "inspect", image))[0]

    def start(self, name, image, *words):
        """words: options, then after "--" the command. Read-only, no capability, no new privilege, the network of the host."""
        split = words.index("--") if "--" in words else len(words)
        self.names.append(name)
        # what podman asks for may be more than this machine lets root have
        files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        processes = resource.getrlimit(resource.RLIMIT_NPROC)[0]
        limits = ["--ulimit=nofile=%d:%d" % (min(files, 4096), min(files, 4096)), "--ulimit=nproc=%d:%d" % (min(processes, 4096), min(processes, 4096))]
        self.podman("run", "--detach", "--name", name, "--network=host", "--read-only", "--read-only-tmpfs=false", "--cap-drop=ALL",
                    "--security-opt=no-new-privileges", *limits, *words[:split], image, *words[split + 1:])

    def run(self, name, *words, check=True):
        return self.podman("exec", name, *words, check=check)

    def stop(self, name):
        """In order; its exit code."""
        self.podman("stop", "--time=60", name)
        return json.loads(self.podman("inspect", name))[0]["State"]["ExitCode"]

    def remove(self):
        for name in reversed(self.names):
            self.podman("rm", "--force", "--ignore", "--time=5", name)
