# Scripts of the processes that are watched; they find one another as scripts do.
collect_ignore = ["failing.py", "run.py", "targets.py", "worker.py"]
