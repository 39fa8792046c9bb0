"""Write the tables of configuration.md from the declarations in difyd.settings: run by `make docs`, checked by the tests."""

from pathlib import Path

from difyd.settings.page import reference

BEGIN, END = "<!-- made by docs/tables.py -->\n", "<!-- end -->\n"

page = Path(__file__).with_name("configuration.md")
before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
after = rest.partition(END)[2]
page.write_text(f"{before}{BEGIN}{reference()}{END}{after}", encoding="utf-8")
