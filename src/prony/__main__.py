"""`python -m prony` in, the command line out."""

from prony.cli import main

if __name__ == "__main__":
    main()
