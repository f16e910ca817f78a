"""The barrier's contract over Sqlite."""

import unittest

from barrier_contract import BarrierContract
from support_participants import SqlitePlace


class SqliteBarrier(BarrierContract, unittest.TestCase):
    Kind = SqlitePlace


if __name__ == "__main__":
    unittest.main()
