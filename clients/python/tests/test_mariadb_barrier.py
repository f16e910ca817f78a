"""The barrier's contract over Mariadb."""

import unittest

from barrier_contract import BarrierContract
from support_participants import MariadbPlace


class MariadbBarrier(BarrierContract, unittest.TestCase):
    Kind = MariadbPlace


if __name__ == "__main__":
    unittest.main()
