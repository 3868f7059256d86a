//! The temporary file while it is written, and its checksum on the way.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::{Mutex, OnceLock, PoisonError};

use bytes::Bytes;
use sha2::{Digest as _, Sha256, Sha512};
use tokio_util::sync::CancellationToken;

use super::disk;
use crate::job::SumKind;

/// Bytes of a file that are read at once when it is summed up afterwards.
const READ_BYTES: usize = 1 << 20;

/// A temporary file that is written.
#[derive(Debug)]
pub(super) struct Sink {
    file: OnceLock<File>,
    /// Where the file is made when it is first needed. Held while it is made.
    place: Option<Mutex<PathBuf>>,
    sum: Option<Mutex<Sum>>,
}

/// A checksum over the first bytes of a file.
#[derive(Debug)]
struct Sum {
    hash: Hash,
    /// The bytes that it is over; `None` once a byte came out of order.
    over: Option<u64>,
}

#[derive(Debug)]
enum Hash {
    Sha256(Sha256),
    Sha512(Sha512),
}

impl Hash {
    fn new(kind: SumKind) -> Self {
        match kind {
            SumKind::Sha256 => Self::Sha256(Sha256::new()),
            SumKind::Sha512 => Self::Sha512(Sha512::new()),
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hash) => hash.update(bytes),
            Self::Sha512(hash) => hash.update(bytes),
        }
    }

    fn hex(self) -> String {
        let digits = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        match self {
            Self::Sha256(hash) => digits(&hash.finalize()),
            Self::Sha512(hash) => digits(&hash.finalize()),
        }
    }
}

impl Sink {
    /// A file of which nothing counts; summed up while it is written if a checksum is wanted.
    pub(super) fn new(file: File, sum: Option<SumKind>) -> Self {
        Self {
            sum: Sum::wanted(sum),
            ..Self::old(file)
        }
    }

    /// A file that is made together with its first bytes: for a small one that is one way to the disk's
    /// threads and not two.
    pub(super) fn at(place: PathBuf, sum: Option<SumKind>) -> Self {
        Self {
            file: OnceLock::new(),
            place: Some(Mutex::new(place)),
            sum: Sum::wanted(sum),
        }
    }

    /// A file of which an earlier run wrote a part.
    pub(super) fn old(file: File) -> Self {
        Self {
            file: OnceLock::from(file),
            place: None,
            sum: None,
        }
    }

    /// The file itself.
    ///
    /// # Errors
    /// The system's, where it has yet to be made.
    pub(super) fn file(&self) -> io::Result<&File> {
        if let (None, Some(place)) = (self.file.get(), &self.place) {
            let place = place.lock().unwrap_or_else(PoisonError::into_inner);
            if self.file.get().is_none() {
                // Whoever waited for the lock finds it made.
                let _ = self.file.set(disk::create(&place)?);
            }
        }
        self.file.get().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Writes `batch` at `offset`.
    ///
    /// # Errors
    /// The system's.
    pub(super) fn write_at(&self, offset: u64, batch: &[Bytes]) -> io::Result<()> {
        disk::write_at(self.file()?, offset, batch)?;
        if let Some(sum) = &self.sum {
            let mut sum = sum.lock().unwrap_or_else(PoisonError::into_inner);
            sum.add(offset, batch);
        }
        Ok(())
    }

    /// Makes what is written durable.
    ///
    /// # Errors
    /// The system's.
    pub(super) fn sync_data(&self) -> io::Result<()> {
        self.file()?.sync_data()
    }

    /// Forgets everything.
    ///
    /// # Errors
    /// The system's.
    pub(super) fn clear(self, sum: Option<SumKind>) -> io::Result<Self> {
        if let Some(file) = self.file.get() {
            file.set_len(0)?;
        }
        Ok(Self {
            sum: Sum::wanted(sum),
            ..self
        })
    }

    /// The checksum over the first `length` bytes: the one made on the way, else the file is read.
    /// `None` when `stop` fired meanwhile.
    ///
    /// # Errors
    /// The system's.
    pub(super) fn sum(
        &self,
        kind: SumKind,
        length: u64,
        stop: &CancellationToken,
    ) -> io::Result<Option<String>> {
        if let Some(sum) = &self.sum {
            let mut sum = sum.lock().unwrap_or_else(PoisonError::into_inner);
            if sum.over.take() == Some(length) {
                let made = std::mem::replace(&mut sum.hash, Hash::new(kind));
                return Ok(Some(made.hex()));
            }
        }
        let mut hash = Hash::new(kind);
        let mut buffer = vec![0; READ_BYTES];
        let mut at = 0;
        while at < length {
            if stop.is_cancelled() {
                return Ok(None);
            }
            let most = usize::try_from(length - at).unwrap_or(READ_BYTES).min(READ_BYTES);
            let room = buffer.get_mut(..most).unwrap_or_default();
            let read = self.file()?.read_at(room, at)?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            hash.update(room.get(..read).unwrap_or_default());
            at += u64::try_from(read).unwrap_or_default();
        }
        Ok(Some(hash.hex()))
    }
}

impl Sum {
    fn wanted(kind: Option<SumKind>) -> Option<Mutex<Self>> {
        kind.map(|kind| {
            Mutex::new(Self {
                hash: Hash::new(kind),
                over: Some(0),
            })
        })
    }

    fn add(&mut self, offset: u64, batch: &[Bytes]) {
        let Some(over) = self.over.filter(|over| *over == offset) else {
            self.over = None;
            return;
        };
        let mut end = over;
        for bytes in batch {
            self.hash.update(bytes);
            end += u64::try_from(bytes.len()).unwrap_or_default();
        }
        self.over = Some(end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn sink() -> (tempfile::TempDir, Sink) {
        let dir = tempfile::tempdir().unwrap();
        let file = disk::create(&dir.path().join("x")).unwrap();
        (dir, Sink::new(file, Some(SumKind::Sha256)))
    }

    fn sum(sink: &Sink, length: u64) -> Option<String> {
        sink.sum(SumKind::Sha256, length, &CancellationToken::new())
            .unwrap()
    }

    #[test]
    fn a_sum_made_on_the_way_is_the_sum_of_the_file() {
        let (_dir, sink) = sink();
        sink.write_at(0, &[Bytes::from_static(b"a")]).unwrap();
        sink.write_at(1, &[Bytes::from_static(b"b"), Bytes::from_static(b"c")])
            .unwrap();
        // Nothing that is on the disk is looked at.
        disk::write_at(sink.file().unwrap(), 0, &[Bytes::from_static(b"xyz")]).unwrap();
        assert_eq!(sum(&sink, 3).as_deref(), Some(ABC));
    }

    #[test]
    fn a_small_file_is_made_with_its_first_bytes_be_they_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        let sink = Sink::at(path.clone(), None);
        assert!(!path.exists());
        sink.write_at(0, &[]).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"");
        sink.write_at(0, &[Bytes::from_static(b"a")]).unwrap();
        let sink = sink.clear(None).unwrap();
        sink.write_at(0, &[Bytes::from_static(b"bc")]).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"bc");
    }

    #[test]
    fn what_was_written_out_of_order_is_read_again() {
        let (_dir, sink) = sink();
        sink.write_at(1, &[Bytes::from_static(b"bc")]).unwrap();
        sink.write_at(0, &[Bytes::from_static(b"a")]).unwrap();
        assert_eq!(sum(&sink, 3).as_deref(), Some(ABC));
        assert_eq!(
            sum(&Sink::old(sink.file().unwrap().try_clone().unwrap()), 3).as_deref(),
            Some(ABC)
        );
        let stop = CancellationToken::new();
        stop.cancel();
        assert_eq!(sink.sum(SumKind::Sha256, 3, &stop).unwrap(), None);
    }
}
