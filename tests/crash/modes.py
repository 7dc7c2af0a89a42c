"""What is done to the server, or to its clients' links, while they talk. Each is `await mode(harness)`."""
import asyncio

from proxy import Proxy

AT_CLIENTS = ("burst", "message", "ack")   # points that the clients see, see Client.hook
BACK = ("start", "resume", "resumed")      # points on the way back from the kill before
INSIDE = ("write", "written", "committed", "acknowledge")  # points.c
ROUND = 5               # kills from one settling to the next
TRAP_SECONDS = 3        # for a chosen point to be reached; then it is any moment
CUT_STANZAS = 25        # in each direction, links are cut after each of a connection's first
CUT_SECONDS = 120
QUIET_SECONDS = 6.5     # without an acknowledgement: none is to come (a server may think about one for 5 s)


def say(h, text):
    print(f"{text}: {h.acknowledged()} acknowledged, {h.progress()[1]} delivered; sessions: "
          f"{sum(c.resumed for c in h.clients)} resumed, {sum(c.refused_sessions for c in h.clients)} not", flush=True)


# -- kill

async def kill(h):
    """SIGKILL at random moments and at chosen points, over and over."""
    h.add_pairs(forgets=h.options.forget)
    await h.begin()
    names = h.options.points or ("random", *AT_CLIENTS, *BACK, *(INSIDE if h.points else ()))
    order = []
    while len(order) < h.options.kills:
        order += h.rng.sample(names, len(names))
    del order[h.options.kills:]
    unsettled = 0
    for number, point in enumerate(order, 1):
        if point in BACK and h.up.is_set():
            point = "random"  # nobody is on his way back
        h.talk()
        reached = await kill_at(h, point)
        say(h, f"kill {number}, {point if reached else f'any moment ({point} was not reached)'}")
        unsettled += 1
        if number == len(order) or (unsettled >= ROUND and order[number] not in BACK):
            await h.come_back()
            await h.settle()
            unsettled = 0
    await h.look_again()


async def kill_at(h, point):
    """False: it died, but not there."""
    rng = h.rng
    if point == "start":
        h.server.launch()
        await asyncio.sleep(rng.uniform(0, 0.15))
        h.kill()
        return True
    if point in ("resume", "resumed"):
        return await kill_when(h, point, rng.randint(1, len(h.clients) // 2), h.come_back())
    await h.come_back()
    await asyncio.sleep(rng.uniform(0.1, 0.6))
    if rng.random() < 0.3:
        rng.choice(h.clients).leave()
    if point == "random":
        h.kill()
        return True
    if point in AT_CLIENTS:
        return await kill_when(h, point, rng.randint(1, 20))
    h.points.arm(point, rng.randint(1, 30))
    reached = await h.until(h.server.is_dead, TRAP_SECONDS)
    h.points.disarm()
    h.kill()
    return reached


async def kill_when(h, point, countdown, before=None):
    kills = h.kills
    h.set_trap(point, countdown, h.kill)
    if before:
        try:
            await before
        except RuntimeError:  # who was on his way already may meet the trap before the server has answered us
            if h.kills == kills:
                raise
    reached = await h.until(lambda: h.kills > kills, TRAP_SECONDS)
    h.trap = None
    if not reached:
        h.kill()
    return reached


# -- cut

async def cut(h):
    """Each client's link is cut after each stanza of a connection, in each direction."""
    h.add_pairs(pauses=(0.0, 0.02))
    done = {}

    def count(direction, after):
        h.cuts += 1
        done[direction, after] = done.get((direction, after), 0) + 1
        if done[direction, after] == len(h.clients):
            say(h, f"{h.cuts} cuts, every link once after stanza {after} {direction}")

    await h.start_proxies(lambda: Proxy(("127.0.0.1", h.server.port), h.rng, count))
    await h.begin()
    h.talk()
    for c in h.clients:
        h.proxies[c.name].cuts = [(d, n) for n in range(1, CUT_STANZAS + 1) for d in ("up", "down")]
        c.drop()
    await h.until(lambda: not any(p.cuts for p in h.proxies.values()), CUT_SECONDS, "every link was cut everywhere")
    await h.settle()
    # The sessions are there, so who does not get his back was lied to.
    if refused := sum(c.refused_sessions for c in h.clients):
        h.failures.append(f"{refused} sessions were not resumed although the server was never away")
    await h.look_again()


# -- full

async def full(h):
    """The store's disk is full and has room again; every other time the server is killed in between."""
    h.add_pairs(pauses=(0.0, 0.05), padding=1000)
    await h.begin()
    for number in range(1, h.options.fills + 1):
        h.talk()
        await asyncio.sleep(0.5)
        for c in h.clients[1::4]:  # so that messages have to be stored
            c.leave()
        h.disk.fill()
        if not await stops(h):
            h.failures.append("acknowledgements go on although the store is full")
        say(h, f"disk {number}, full")
        before, killed = h.acknowledged(), number % 2 == 0
        if killed:
            h.kill()
        h.disk.free()
        await h.come_back()
        await h.until(lambda: h.acknowledged() > before + len(h.clients), 20, "service returns with the room")
        say(h, f"disk {number}, room again" + (", killed in between" if killed else ""))
        await h.settle()
    await h.look_again()


async def stops(h):
    """Whether acknowledgements do."""
    loop = asyncio.get_running_loop()
    end, last, since = loop.time() + 60, h.acknowledged(), loop.time()
    while loop.time() < end:
        await asyncio.sleep(0.1)
        h.disk.fill()  # what the store has given back
        if h.acknowledged() != last:
            last, since = h.acknowledged(), loop.time()
        elif loop.time() - since > QUIET_SECONDS:
            return True
    return False


# -- fail

async def fail(h):
    """The store fails its nth write or sync, and some more; every third time the server is killed then."""
    h.add_pairs(forgets=h.options.forget)
    await h.begin()
    for number in range(1, h.options.fails + 1):
        h.talk()
        point, count = h.rng.choice(("write", "written")), h.rng.randint(1, 6)
        h.points.arm(point, h.rng.randint(1, 40), count)
        await h.until(lambda: not h.points.armed() or h.server.is_dead(), 20, "the store comes to its failure")
        h.points.disarm()
        killed = number % 3 == 0
        if killed:
            h.kill()
            await h.come_back()
        elif h.server.is_dead():
            h.failures.append("the server ended when its store failed")
            return
        before = h.acknowledged()
        await h.until(lambda: h.acknowledged() > before + len(h.clients), 20, "service returns after the failure")
        say(h, f"failure {number}, {count} times at {point}" + (", killed" if killed else ""))
    await h.settle()
    await h.look_again()


MODES = {"kill": kill, "cut": cut, "full": full, "fail": fail}
