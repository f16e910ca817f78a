"""The barrier's contract over Postgres."""

import unittest

from barrier_contract import BarrierContract
from support_participants import PostgresPlace


class PostgresBarrier(BarrierContract, unittest.TestCase):
    Kind = PostgresPlace


if __name__ == "__main__":
    unittest.main()
