"""Django's command line for the project of works_django.py."""

import os
import sys

from django.core.management import execute_from_command_line

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "works_django")
execute_from_command_line(sys.argv)
