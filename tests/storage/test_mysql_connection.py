"""Connections to MariaDB as the program has them: on uvloop, which says more than asyncio where a peer has hung up."""

import asyncio
from uuid import uuid4

import uvloop

from headwater.config_stack import MariaDb
from storage.mysql_connection import Cursor, open_mysql
from tests.services.server import Server


def test_it_closes_in_peace_where_the_server_has_hung_up_on_a_silent_connection(mariadb_server: Server) -> None:
    """The server hangs up after three times as long as a call may take; it does so with a reset."""
    config = MariaDb(port=mariadb_server.port, user="root", database=f"silent_{uuid4().hex}", time=0.5)

    async def number(cursor: Cursor) -> int:
        await cursor.execute("SELECT CONNECTION_ID()")
        ((found,),) = await cursor.fetchall()
        return int(found)

    async def be_silent_and_close() -> None:
        patient = config.model_copy(update={"time": 5.0})
        async with asyncio.timeout(20), open_mysql(patient, []) as other, open_mysql(config, []) as mysql:
            silent = await mysql.transaction(number)

            async def left(cursor: Cursor) -> int:
                sql = "SELECT COUNT(*) FROM information_schema.processlist WHERE id = %s"
                await cursor.execute(sql, (silent,))
                ((count,),) = await cursor.fetchall()
                return int(count)

            while await other.transaction(left):
                await asyncio.sleep(0.1)
            await asyncio.sleep(0.1)  # the reset is on its way

    uvloop.run(be_silent_and_close())
