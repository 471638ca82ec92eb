import os
import pickle
import threading

from wsharness import lastwords
from wsharness.lastwords import SIZE, LastWords
from wsharness.transcript import Direction, Fact, Record, Transcript


def die():
    os._exit(7)


def read_after(function, read=LastWords.read):
    words = LastWords()
    try:
        pid = os.fork()
        if pid == 0:
            words.follow()
            function()
            os._exit(0)
        os.waitpid(pid, 0)
        return read(words)
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


def happened(number):
    return Record(number, "alice", Direction.FACT, Fact("step", "x" * number))


def test_what_happened_until_the_last_line_is_known_too():
    def run():
        lastwords.begin(Transcript([happened(5)]))
        idle()
        lastwords.begin(transcript := Transcript([happened(1)]))
        for number in (2, 3):
            idle()
            transcript.append(happened(number))
        die()

    def idle():
        pass

    assert read_after(run, LastWords.transcript) == [happened(1), happened(2), happened(3)]


def test_what_was_not_written_to_its_end_is_left_out():
    words = LastWords()
    words.begin(Transcript())
    words._file.write(pickle.dumps([happened(1)]) + pickle.dumps([happened(2)])[:-2])
    assert words.transcript() == [happened(1)]
    words.close()
