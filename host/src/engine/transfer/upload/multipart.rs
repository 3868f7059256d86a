//! Large objects of a store, sent in parts: what is there of them outlives faults and crashes, and they
//! may be larger than one `PUT` takes (5 GiB).
//!
//! ```text
//! session has an id? ─ list ─► which parts are there ─► PUT part … PUT part ─► finish
//!       └─ no, 404 ─ begin ─┘                              └─ 404: begin         └─ 404: is it there?
//! ```

use http::header::{CONTENT_LENGTH, ETAG};
use reqwest::{Method, Response};
use rusty_s3::actions::{CreateMultipartUpload, ListParts};

use super::super::classify::Class;
use super::super::fault::Fault;
use super::super::target::{Purpose, Target};
use super::send::{Count, number, text};
use super::session::{MultipartWay, Way};
use super::{Break, Upload, UploadProgress, Work};

/// Files up to this size are sent by one `PUT`: for them, three requests would be saved time lost.
pub(super) const WHOLE_BYTES_MAX: u64 = 16 << 20;
/// Bytes of a part: what a crash may cost (P9), and more than the least that stores take (5 MiB).
const PART_BYTES: u64 = 8 << 20;
/// Parts that stores take; larger files have larger parts.
const PARTS_MAX: u64 = 10_000;
/// Parts of large files are whole mebibytes.
const PART_STEP: u64 = 1 << 20;
/// Lists of a thousand parts that are read, well beyond what can be there.
const PAGES_MAX: usize = 100;

/// Bytes of each part of a file but the last.
fn part_bytes(size: u64) -> u64 {
    size.div_ceil(PARTS_MAX)
        .max(PART_BYTES)
        .next_multiple_of(PART_STEP)
}

impl<P: UploadProgress> Upload<'_, P> {
    /// Sends the parts that are not there, and makes the object of them.
    pub(super) async fn multipart(&self, work: &mut Work, way: MultipartWay) -> Result<(), Break> {
        let mut way = way;
        loop {
            if way.id.is_none() {
                self.multipart_begin(work, &mut way).await?;
            }
            if self.multipart_send(work, &mut way).await? {
                return Ok(());
            }
            // An upload that is finished is not known any more: the answer to that was lost, or it was
            // ended by others.
            if way.finishing && self.is_object_there(work).await? {
                return Ok(());
            }
            self.lost(work)?;
            way = MultipartWay::default();
        }
    }

    async fn multipart_begin(&self, work: &mut Work, way: &mut MultipartWay) -> Result<(), Break> {
        let url = self.object(work, Purpose::Begin).await?;
        let request = self.request(Method::POST, &url).header(CONTENT_LENGTH, 0);
        let answer = self.good(self.ask(request).await?)?;
        self.connect(work).await?;
        let said = self.words(answer).await?;
        let named = CreateMultipartUpload::parse_response(&said);
        let named = named.map_err(|_| Fault::answer("it began an upload but does not name it"))?;
        *way = MultipartWay {
            id: Some(named.upload_id().to_owned()),
            part: part_bytes(work.source.mark.size),
            finishing: false,
        };
        work.file.bytes_transferred = 0;
        self.multipart_save(work, way).await
    }

    /// Sends what is missing, and finishes; false when the store does not know the upload.
    async fn multipart_send(&self, work: &mut Work, way: &mut MultipartWay) -> Result<bool, Break> {
        let size = work.source.mark.size;
        let id = way.id.clone().unwrap_or_default();
        let Some(mut etags) = self.multipart_list(work, &id, way.part).await? else {
            return Ok(false);
        };
        loop {
            let sent = u64::try_from(etags.len()).unwrap_or(u64::MAX);
            let offset = sent.saturating_mul(way.part).min(size);
            if work.file.bytes_transferred != offset {
                work.file.bytes_transferred = offset;
                self.save(work).await?;
            }
            if offset == size {
                return self.multipart_finish(work, way, &etags).await;
            }
            let number = u16::try_from(sent + 1).map_err(|_| Fault::answer("it has too many parts"))?;
            let url = self.object(work, Purpose::Part(id.clone(), number)).await?;
            let span = offset..size.min(offset.saturating_add(way.part));
            let request = self.request(Method::PUT, &url);
            let (answer, _) = self.send(work, request, span, Count::Acknowledged).await?;
            if answer.status().as_u16() == 404 {
                return Ok(false);
            }
            let answer = self.good(answer)?;
            let etag = text(answer.headers(), &ETAG).filter(|etag| !etag.is_empty());
            let etag = etag.ok_or_else(|| Fault::answer("it took a part but does not name it"))?;
            etags.push(etag.to_owned());
        }
    }

    /// The names of the parts that are there, from the first up to a gap; none when the store does not
    /// know the upload.
    async fn multipart_list(&self, work: &Work, id: &str, part: u64) -> Result<Option<Vec<String>>, Break> {
        let size = work.source.mark.size;
        let (mut etags, mut after) = (Vec::new(), 0);
        for _ in 0..PAGES_MAX {
            let url = self.object(work, Purpose::Parts(id.to_owned(), after)).await?;
            let answer = self.ask(self.request(Method::GET, &url)).await?;
            if answer.status().as_u16() == 404 {
                return Ok(None);
            }
            let said = self.words(self.good(answer)?).await?;
            let page = ListParts::parse_response(&said);
            let page = page.map_err(|_| Fault::answer("it does not say which parts it has"))?;
            for there in page.parts {
                let before = u64::try_from(etags.len()).unwrap_or(u64::MAX);
                let wanted = size.saturating_sub(before.saturating_mul(part)).min(part);
                if u64::from(there.number) == before + 1 && there.size == wanted {
                    etags.push(there.etag);
                }
            }
            match page.next_part_number_marker {
                Some(next) if next > after => after = next,
                _ => break,
            }
        }
        Ok(Some(etags))
    }

    /// Makes the object of its parts; false when the store does not know the upload.
    async fn multipart_finish(
        &self,
        work: &mut Work,
        way: &mut MultipartWay,
        etags: &[String],
    ) -> Result<bool, Break> {
        if !way.finishing {
            way.finishing = true;
            self.multipart_save(work, way).await?;
        }
        let id = way.id.clone().unwrap_or_default();
        let url = self.object(work, Purpose::Finish(id)).await?;
        let answer = self.tell(self.request(Method::POST, &url), names(etags)).await?;
        if answer.status().as_u16() == 404 {
            return Ok(false);
        }
        let said = self.words(self.good(answer)?).await?;
        // A store says yes before it begins, and may find out while it works that it cannot.
        if said.contains("<Error") {
            let shown: String = said.chars().take(200).collect();
            return Err(Break::from(Fault {
                class: Class::Transient,
                ..Fault::answer(format!("it could not make the object of its parts: {shown}"))
            }));
        }
        self.connect(work).await?;
        Ok(true)
    }

    /// Whether the object is there, as large as the file.
    async fn is_object_there(&self, work: &mut Work) -> Result<bool, Break> {
        let url = self.object(work, Purpose::Look).await?;
        let answer = self.ask(self.request(Method::HEAD, &url)).await?;
        if answer.status().as_u16() == 404 {
            return Ok(false);
        }
        let answer = self.good(answer)?;
        Ok(number(answer.headers(), &CONTENT_LENGTH) == Some(work.source.mark.size))
    }

    /// Has the store forget parts that no object is made of, which are paid for as long as they are there.
    /// Whatever it answers, the file is sent anew.
    pub(super) async fn multipart_abandon(&self, work: &Work, way: MultipartWay) -> Result<(), Break> {
        let Some(id) = way.id else { return Ok(()) };
        let url = self.object(work, Purpose::Abandon(id)).await?;
        match self.ask(self.request(Method::DELETE, &url)).await {
            Err(Break::Stopped) => Err(Break::Stopped),
            _ => Ok(()),
        }
    }

    /// The way to the object, open for one purpose.
    pub(super) async fn object(&self, work: &Work, purpose: Purpose) -> Result<String, Break> {
        match self.targets.resolve(&work.file.remote, purpose).await? {
            Target::Http(url) | Target::Object(url) => Ok(url),
            // Refused when it was submitted.
            Target::File(_) => Err(Fault::answer("a local file is no server").into()),
        }
    }

    fn good(&self, answer: Response) -> Result<Response, Fault> {
        if answer.status().is_success() {
            Ok(answer)
        } else {
            Err(self.refusal(&answer))
        }
    }

    async fn multipart_save(&self, work: &mut Work, way: &MultipartWay) -> Result<(), Break> {
        work.session.way = Some(Way::Multipart(way.clone()));
        self.save(work).await
    }
}

/// The parts that an object is made of, in order, as a store wants them listed.
fn names(etags: &[String]) -> String {
    let parts = etags.iter().zip(1..).map(|(etag, number): (_, u32)| {
        let etag = etag
            .replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;");
        format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>")
    });
    let parts: String = parts.collect();
    format!(
        "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">{parts}</CompleteMultipartUpload>"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_file_has_more_parts_than_stores_take() {
        let gib = 1 << 30;
        for (size, part) in [
            (WHOLE_BYTES_MAX + 1, PART_BYTES),
            (PART_BYTES * PARTS_MAX, PART_BYTES),
            (PART_BYTES * PARTS_MAX + 1, PART_BYTES + PART_STEP),
            (5 * 1024 * gib, 525 << 20),
        ] {
            assert_eq!(part_bytes(size), part, "{size}");
            assert!(size.div_ceil(part) <= PARTS_MAX);
        }
    }

    #[test]
    fn parts_are_listed_in_order_and_escaped() {
        let listed = names(&["\"a\"".to_owned(), "<&>".to_owned()]);
        let first = "<Part><PartNumber>1</PartNumber><ETag>\"a\"</ETag></Part>";
        let second = "<Part><PartNumber>2</PartNumber><ETag>&lt;&amp;&gt;</ETag></Part>";
        assert!(listed.contains(&format!("{first}{second}</")), "{listed}");
    }
}
