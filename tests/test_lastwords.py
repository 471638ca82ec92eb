import os
import threading

from wsharness.lastwords import SIZE, LastWords


def die():
    os._exit(7)


def read_after(function):
    words = LastWords()
    try:
        pid = os.fork()
        if pid == 0:
            words.follow()
            function()
            os._exit(0)
        os.waitpid(pid, 0)
        return words.read()
    finally:
        words.close()


def test_the_last_line_of_the_users_own_code_is_known_and_what_called_it():
    *_, caller, last = read_after(lambda: die())
    assert last == (__file__, die.__code__.co_firstlineno + 1, "die")
    assert caller[0] == __file__ and caller[2].endswith("<lambda>")


def test_so_it_is_in_a_thread():
    def start():
        thread = threading.Thread(target=die)
        thread.start()
        thread.join()

    assert read_after(start)[-1][2] == "die"


def test_where_nothing_of_the_users_ran_nothing_is_known():
    assert read_after(os.getpid) == ()


def test_what_has_no_room_is_left_out():
    def long():
        os._exit(1)

    long.__code__ = long.__code__.replace(co_qualname="x" * SIZE)
    assert "x" * SIZE not in [name for *_, name in read_after(long)]
