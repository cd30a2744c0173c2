//! Large files in pieces: each is a request of its own, which is tried again by itself.
//!
//! One request for a whole file would have to end within its timeout, however slowly its bytes are used, and what is tried
//! again has a limit of time that begins with the request.

use std::{fmt, ops::Range, sync::Arc};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::{
    StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};
use object_store::{
    CopyOptions, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, path::Path,
};
use tokio_util::task::AbortOnDropHandle;

/// Bytes of a piece. A reader holds one, and another one is on its way.
const PIECE: u64 = 8 << 20;

/// A store that reads large files in pieces, and does all else as `T` does.
#[derive(Debug)]
pub(super) struct InPieces<T> {
    inner: Arc<T>,
    piece: u64,
}

impl<T: ObjectStore> InPieces<T> {
    pub(super) fn new(inner: T) -> Self {
        Self { inner: Arc::new(inner), piece: PIECE }
    }
}

impl<T: ObjectStore> fmt::Display for InPieces<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

#[async_trait]
impl<T: ObjectStore> ObjectStore for InPieces<T> {
    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let head = options.head;
        let mut found = self.inner.get_opts(location, options.clone()).await?;
        if head || found.range.end - found.range.start <= self.piece {
            return Ok(found);
        }
        let (range, meta) = (found.range.clone(), found.meta.clone());
        let attributes = std::mem::take(&mut found.attributes);
        let first = found.into_stream();
        // Pieces of two versions would make a file that never was.
        let options = GetOptions { if_match: meta.e_tag.clone(), if_none_match: None, ..options };
        let reader = Reader { store: Arc::clone(&self.inner), location: location.clone(), options, piece: self.piece };
        Ok(GetResult {
            payload: GetResultPayload::Stream(reader.stream(first, range.clone())),
            meta,
            range,
            attributes,
        })
    }

    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.inner.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

/// One file that is read in pieces.
struct Reader<T> {
    store: Arc<T>,
    location: Path,
    options: GetOptions,
    piece: u64,
}

impl<T: ObjectStore> Reader<T> {
    /// `range` of the file, of which `first` has the beginning.
    fn stream(self, first: BoxStream<'static, Result<Bytes>>, range: Range<u64>) -> BoxStream<'static, Result<Bytes>> {
        let first_end = range.start + self.piece;
        let first = AbortOnDropHandle::new(tokio::spawn(beginning(first, self.piece)));
        let state = (self, Some(first), first_end..range.end);
        stream::try_unfold(state, |(reader, coming, rest)| async move {
            let Some(coming) = coming else { return Ok(None) };
            let piece = coming.await.map_err(|source| object_store::Error::JoinError { source })??;
            let end = rest.end.min(rest.start + reader.piece);
            let next = (rest.start < rest.end).then(|| reader.ask(rest.start..end));
            Ok(Some((piece, (reader, next, end..rest.end))))
        })
        .boxed()
    }

    /// Begins to fetch a piece.
    fn ask(&self, range: Range<u64>) -> AbortOnDropHandle<Result<Bytes>> {
        let (store, location) = (Arc::clone(&self.store), self.location.clone());
        let options = GetOptions { range: Some(range.into()), ..self.options.clone() };
        AbortOnDropHandle::new(tokio::spawn(async move { store.get_opts(&location, options).await?.bytes().await }))
    }
}

/// The first `length` bytes of a file that has more.
async fn beginning(mut file: BoxStream<'static, Result<Bytes>>, length: u64) -> Result<Bytes> {
    let mut piece = BytesMut::with_capacity(length as usize);
    while let Some(bytes) = file.try_next().await? {
        let missing = length as usize - piece.len();
        piece.extend_from_slice(&bytes[..bytes.len().min(missing)]);
        if piece.len() as u64 == length {
            break;
        }
    }
    Ok(piece.freeze())
}

#[cfg(test)]
mod tests {
    use object_store::{GetRange, ObjectStoreExt, memory::InMemory};

    use super::*;

    #[tokio::test]
    async fn a_file_is_the_same_in_pieces() {
        let path = Path::from("file");
        let store = InPieces { inner: Arc::new(InMemory::new()), piece: 10 };
        for length in [0_u8, 1, 9, 10, 11, 20, 21, 99] {
            let content: Vec<u8> = (0..length).collect();
            store.put(&path, content.clone().into()).await.unwrap();
            let found = store.get(&path).await.unwrap();
            assert_eq!((found.meta.size, found.range.clone()), (length.into(), 0..length.into()));
            let pieces: Vec<Bytes> = found.into_stream().try_collect().await.unwrap();
            assert_eq!(pieces.concat(), content);
            assert!(pieces.iter().all(|piece| piece.len() <= 10), "{length}");
            assert_eq!(store.head(&path).await.unwrap().size, u64::from(length));
        }
        let part = GetOptions { range: Some(GetRange::Bounded(5..48)), ..GetOptions::default() };
        let part = store.get_opts(&path, part).await.unwrap().bytes().await.unwrap();
        assert_eq!(part, (5..48).collect::<Vec<u8>>());
    }

    #[tokio::test]
    async fn a_file_that_changes_while_it_is_read_is_an_error() {
        let path = Path::from("file");
        let store = InPieces { inner: Arc::new(InMemory::new()), piece: 10 };
        store.put(&path, vec![1; 40].into()).await.unwrap();
        let mut file = store.get(&path).await.unwrap().into_stream();
        assert_eq!(file.try_next().await.unwrap().unwrap(), vec![1; 10]);
        store.put(&path, vec![2; 40].into()).await.unwrap();
        let rest: Result<Vec<Bytes>> = file.try_collect().await;
        // The piece that was on its way may be of the old file.
        assert!(matches!(rest, Err(object_store::Error::Precondition { .. })), "{rest:?}");
    }
}
