"""Who stands where, put in ascending order of the participants. Included by the index; see there.

The order of a ranking is one of values; what is kept of it is looked up by participant. Between the two lies a radix
sort: at a million entries it takes two passes, each some milliseconds, and holds no lock of Python's.
"""

cdef enum:
    DIGIT_BITS = 11   # so that the counts of all digits fit the nearest cache
    DIGITS = 2048


cdef struct Record:
    int64_t value
    uint32_t participant
    uint32_t rank
    uint32_t group


cdef class Records:
    """Room for `count` records, and as much again to sort them with."""

    cdef Record *all
    cdef Record *spare
    cdef Py_ssize_t count

    def __cinit__(self, Py_ssize_t count):
        self.count = count
        self.all = <Record *> malloc(count * sizeof(Record) + 1)
        self.spare = <Record *> malloc(count * sizeof(Record) + 1)
        if self.all == NULL or self.spare == NULL:
            raise MemoryError()

    def __dealloc__(self):
        free(self.all)
        free(self.spare)

    cdef void sort(self) noexcept nogil:
        """Put the records in ascending order of participants; among the same, they stay in theirs."""
        cdef uint32_t largest = 0
        cdef Py_ssize_t i
        cdef int shift = 0
        for i in range(self.count):
            largest = max(largest, self.all[i].participant)
        while shift < 32 and largest >> shift:
            self.sort_by_digit(shift)
            self.all, self.spare = self.spare, self.all
            shift += DIGIT_BITS

    cdef void sort_by_digit(self, int shift) noexcept nogil:
        """Write the records to `spare` in the order of one digit of their participants."""
        cdef Py_ssize_t ends[DIGITS]
        cdef Py_ssize_t start = 0, length, i
        cdef uint32_t digit
        memset(ends, 0, sizeof(ends))
        for i in range(self.count):
            ends[(self.all[i].participant >> shift) & (DIGITS - 1)] += 1
        for i in range(DIGITS):
            length = ends[i]
            ends[i] = start
            start += length
        for i in range(self.count):
            digit = (self.all[i].participant >> shift) & (DIGITS - 1)
            self.spare[ends[digit]] = self.all[i]
            ends[digit] += 1

    cdef bytes participants(self):
        return self.column(&self.all.participant)

    cdef bytes groups(self):
        return self.column(&self.all.group)

    cdef bytes ranks(self):
        return self.column(&self.all.rank)

    cdef bytes column(self, const uint32_t *first):
        """The bytes of a field of every record; `first` is that of the first one."""
        cdef bytes column = PyBytes_FromStringAndSize(NULL, self.count * sizeof(uint32_t))
        cdef uint32_t *to = <uint32_t *> PyBytes_AS_STRING(column)
        cdef Py_ssize_t i
        for i in range(self.count):
            to[i] = (<const uint32_t *> (<const char *> first + i * sizeof(Record)))[0]
        return column

    cdef bytes values(self):
        cdef bytes column = PyBytes_FromStringAndSize(NULL, self.count * sizeof(int64_t))
        cdef int64_t *to = <int64_t *> PyBytes_AS_STRING(column)
        cdef Py_ssize_t i
        for i in range(self.count):
            to[i] = self.all[i].value
        return column


def merge_places(parts):
    """The places of several groups as one, in ascending order of participants: the bytes of four arrays.

    Each part is what `Index.places` gave. The arrays are of participants ('I'), places of the parts in the sequence
    ('I'), ranks ('I') and values ('q'). O(n); ValueError when the columns of a part differ in length.
    """
    cdef Records records
    cdef Py_ssize_t start = 0
    parts = list(parts)
    records = Records(sum([len(participants) // 4 for participants, _, _ in parts]))
    for group, (participants, ranks, values) in enumerate(parts):
        start += read_part(records, start, group, participants, ranks, values)
    with nogil:
        records.sort()
    return records.participants(), records.groups(), records.ranks(), records.values()


cdef Py_ssize_t read_part(
    Records records, Py_ssize_t start, uint32_t group, bytes participants, bytes ranks, bytes values
) except -1:
    """Write one part to the records from `start` on; gives its length."""
    cdef Py_ssize_t count = len(participants) // 4
    cdef const uint32_t *from_participants = <const uint32_t *> PyBytes_AS_STRING(participants)
    cdef const uint32_t *from_ranks = <const uint32_t *> PyBytes_AS_STRING(ranks)
    cdef const int64_t *from_values = <const int64_t *> PyBytes_AS_STRING(values)
    cdef Py_ssize_t i
    if not len(participants) == len(ranks) == count * 4 or len(values) != count * 8:
        raise ValueError("participants, ranks and values must have the same length")
    for i in range(count):
        records.all[start + i] = Record(from_values[i], from_participants[i], from_ranks[i], group)
    return count
