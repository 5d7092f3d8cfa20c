"""Opens a results file as an analyst would: h5py, xarray, pandas, h5dump.

    python3 open_with_readers.py PATH/results_sample

Writes a file with results_sample (its values are known here) and compares what each reader shows. Exit status 0: all agree.
"""

import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest
import warnings

try:
    import h5netcdf  # noqa: F401  (xarray's engine)
    import h5py
    import numpy as np
    import pandas as pd
    import xarray as xr
except ImportError as error:
    sys.exit(f"{error}; this test needs: pip install h5py h5netcdf xarray pandas (set PALIMPSEST_PYTHON to that Python)")

COLUMNS = ["step", "logp", "fact", "all_top1", "age"]
FACTS = ["plain", "Größe – 東京 🗼", ""]
sample_program = ""


class OpenWithReaders(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.path = str(pathlib.Path(cls.folder.name) / "sample.h5")
        subprocess.run([sample_program, cls.path], check=True)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def test_two_processes_write_the_same_bytes(self):
        again = pathlib.Path(self.folder.name) / "again.h5"
        subprocess.run([sample_program, str(again)], check=True)
        self.assertEqual(again.read_bytes(), pathlib.Path(self.path).read_bytes())

    def test_h5py(self):
        with h5py.File(self.path) as file:
            self.assertEqual(file.attrs["palimpsest_schema"], 1)
            self.assertEqual(file.attrs["resolved_toml"], "[run]\nseed = 7\n")
            self.assertEqual(file.attrs["git_commit"], "")
            self.assertEqual(list(file.attrs["roles"]), ["edited", "intrinsic"])
            self.assertEqual(list(file), ["provenance", "summary", "contrasts", "metrics", "updates"])
            self.assertEqual(list(file["summary"]), ["row"] + COLUMNS)
            summary = file["summary"]
            self.assertEqual(summary["step"][()].tolist(), [0, 10, 20])
            np.testing.assert_array_equal(summary["logp"][()], [-0.5, np.nan, -2.5])
            self.assertEqual(summary["fact"].asstr()[()].tolist(), FACTS)
            self.assertEqual(summary["all_top1"].dtype, np.int8)
            self.assertEqual(summary["all_top1"].attrs["dtype"], "bool")
            self.assertEqual(summary["logp"].attrs["unit"], "nat")
            self.assertEqual(summary["logp"].attrs["aggregate"], "mean")
            for group in (summary, file["contrasts"], file["metrics/retention"], file["provenance/plugins"]):
                for name, column in group.items():
                    self.assertIn("unit", column.attrs, name)
                    self.assertTrue(column.attrs["definition"], name)
                    if name != "row":
                        self.assertEqual(column.dims[0][0].name, group.name + "/row")
            self.assertTrue(file["summary/row"].is_scale)
            self.assertEqual(file["contrasts/step"].shape, (0,))
            update = file["updates/c0/u"]
            self.assertEqual(update.attrs["parameter"], "layers.5.mlp.down.weight")
            np.testing.assert_array_equal(update[()], np.arange(64 * 32, dtype=np.float32).reshape(64, 32) / 4)
            kinds = []
            file.visititems_links(lambda name, link: kinds.append(type(link)))
            self.assertEqual(set(kinds), {h5py.HardLink})

    def test_xarray_and_pandas(self):
        with warnings.catch_warnings():
            # A reader that guesses (dates, phony dimensions) says so by a warning.
            warnings.simplefilter("error")
            with xr.open_dataset(self.path, group="summary", engine="h5netcdf") as data:
                self.assertEqual(dict(data.sizes), {"row": 3})
                self.assertEqual(data["all_top1"].dtype, bool)
                self.assertEqual(data["age"].dtype, np.float64)
                self.assertEqual(data["step"].attrs["definition"], "step of fine-tuning")
                self.assertEqual(data.attrs["definition"], "one fact at one measuring point")
                frame = data.to_dataframe()
        self.assertIsInstance(frame, pd.DataFrame)
        self.assertEqual(frame.index.name, "row")
        self.assertEqual(list(frame.columns), COLUMNS)
        self.assertEqual(frame["fact"].tolist(), FACTS)
        self.assertEqual(frame["all_top1"].tolist(), [True, False, True])
        self.assertTrue(np.isnan(frame["logp"][1]))
        self.assertEqual(frame["step"].dtype, np.int64)

    def test_long_and_empty_tables(self):
        with xr.open_dataset(self.path, group="metrics/retention", engine="h5netcdf") as data:
            frame = data.to_dataframe()
        self.assertEqual(len(frame), 5000)
        self.assertEqual(frame["fact"].iloc[-1], "fact 4999")
        self.assertAlmostEqual(frame["logp"].sum(), -0.001 * 4999 * 5000 / 2, places=6)
        self.assertEqual(int(frame["all_top1"].sum()), 1667)
        with xr.open_dataset(self.path, group="contrasts", engine="h5netcdf") as data:
            frame = data.to_dataframe()
        self.assertEqual(len(frame), 0)
        self.assertEqual(list(frame.columns), COLUMNS)

    def test_xarray_root_and_provenance(self):
        with xr.open_dataset(self.path, engine="h5netcdf") as data:
            self.assertEqual(data.attrs["seed"], 7)
        with xr.open_dataset(self.path, group="provenance/plugins", engine="h5netcdf") as data:
            self.assertEqual(data.to_dataframe()["id"].tolist(), ["rome"])

    def test_pandas_from_h5py(self):
        with h5py.File(self.path) as file:
            table = file["summary"]
            frame = pd.DataFrame({name: table[name].asstr()[()] if table[name].dtype == object else table[name][()]
                                  for name in table})
        self.assertEqual(list(frame.columns), ["row"] + COLUMNS)
        self.assertEqual(frame["fact"].tolist(), FACTS)

    def test_h5dump(self):
        h5dump = shutil.which("h5dump")
        self.assertIsNotNone(h5dump, "h5dump is not installed (Debian: hdf5-tools)")
        run = subprocess.run([h5dump, "-d", "/summary/fact", "-d", "/summary/logp", self.path],
                             capture_output=True, text=True, encoding="utf-8")
        self.assertEqual(run.returncode, 0, run.stderr)
        for expected in ("H5T_CSET_UTF8", "H5T_VARIABLE", '"plain"', "-2.5", "nan", "sum of the target's"):
            self.assertIn(expected, run.stdout)
        whole = subprocess.run([h5dump, "-H", "-p", self.path], capture_output=True, text=True)
        self.assertEqual(whole.returncode, 0, whole.stderr)
        self.assertIn("SUPERBLOCK_VERSION 0", subprocess.run([h5dump, "-B", "-H", self.path], capture_output=True,
                                                             text=True).stdout)
        self.assertNotIn("FLETCHER32", whole.stdout)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sample_program = sys.argv.pop(1)
    unittest.main(verbosity=2)
