"""``python -m skfer``: the command ``skfer``."""

from skfer.cli import main

if __name__ == "__main__":
    main()
