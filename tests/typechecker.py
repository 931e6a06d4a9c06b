"""beartype that takes an int for a float, as Python's type hints do."""

from beartype import BeartypeConf, beartype

check = beartype(conf=BeartypeConf(is_pep484_tower=True))
