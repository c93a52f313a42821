# Scripts of the monitored processes, which import each other from this folder.
collect_ignore = ["failing.py", "run.py", "targets.py", "worker.py"]
