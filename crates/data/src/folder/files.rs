//! [`Files`]: pictures that were looked at once, without keeping their pixels.

use rayon::prelude::*;

use super::{BLOCK, Bad, Item, Prepare, Skipped, load_image};
use crate::images::stats_of_sums;
use crate::{ChannelStats, Error, Result};

/// Files of pictures with what [`Images`](crate::Images) of them would say: for sets that are too large to be held, and are streamed by
/// [`StreamedImages::of`](crate::StreamedImages::of).
#[derive(Clone, Debug)]
pub struct Files {
    prepare: Prepare,
    classes: Vec<String>,
    items: Vec<Item>,
    found: Vec<Found>,
}

/// What is kept of a picture.
#[derive(Clone, Debug)]
struct Found {
    /// The checksum of its pixels.
    crc: u32,
    /// The sum of each channel's bytes, and of their squares.
    sums: Vec<(u64, u64)>,
}

impl Found {
    fn new(pixels: &[u8], channels: usize) -> Self {
        let sums = pixels.chunks(pixels.len() / channels).map(|plane| {
            plane.iter().fold((0, 0), |(sum, squares), &byte| {
                (sum + u64::from(byte), squares + u64::from(byte) * u64::from(byte))
            })
        });
        Self { crc: crc32fast::hash(pixels), sums: sums.collect() }
    }
}

impl Files {
    /// Decodes each picture of a list once, on all cores, and says which were left out.
    ///
    /// # Errors
    /// As [`read`](super::read), but that nothing has to fit in memory.
    pub fn read(
        items: &[Item],
        classes: &[String],
        prepare: &Prepare,
        bad: Bad,
    ) -> Result<(Self, Vec<Skipped>)> {
        prepare.check()?;
        let mut files =
            Self { prepare: *prepare, classes: classes.to_vec(), items: Vec::new(), found: Vec::new() };
        let mut skipped = Vec::new();
        for block in items.chunks(BLOCK) {
            let found: Vec<Result<Found>> = block
                .par_iter()
                .map(|item| Ok(Found::new(&load_image(&item.path, prepare)?, prepare.channels)))
                .collect();
            for (item, found) in block.iter().zip(found) {
                match found {
                    Ok(found) => {
                        files.items.push(item.clone());
                        files.found.push(found);
                    }
                    Err(error) if bad == Bad::Fail => return Err(error),
                    Err(error) => {
                        skipped.push(Skipped { path: item.path.clone(), reason: error.to_string() });
                    }
                }
            }
        }
        if let (true, Some(first)) = (files.is_empty(), skipped.first()) {
            let message = format!("none of {} files can be read: {}", items.len(), first.reason);
            return Err(Error::Images(message));
        }
        Ok((files, skipped))
    }

    /// Number of pictures.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// `[channels, height, width]` of each, once it is prepared.
    pub fn shape(&self) -> [usize; 3] {
        self.prepare.shape()
    }

    /// How they are prepared.
    pub fn prepare(&self) -> &Prepare {
        &self.prepare
    }

    /// The classes' names.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// Where they are, and of which classes.
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// The number of each one's class.
    pub fn labels(&self) -> Vec<u8> {
        self.items.iter().map(|item| item.label).collect()
    }

    /// The bytes of picture `i`, decoded anew.
    ///
    /// # Errors
    /// [`Error::Images`] for one that is not there, and as [`load_image`].
    pub fn image(&self, i: usize) -> Result<Vec<u8>> {
        let item = self.items.get(i).ok_or_else(|| self.missing(i))?;
        load_image(&item.path, &self.prepare)
    }

    /// The pictures at these places, in this order.
    ///
    /// # Errors
    /// [`Error::Images`] for one that is not there.
    pub fn select(&self, rows: &[usize]) -> Result<Self> {
        if let Some(&row) = rows.iter().find(|row| **row >= self.len()) {
            return Err(self.missing(row));
        }
        let items = rows.iter().map(|&row| self.items[row].clone()).collect();
        let found = rows.iter().map(|&row| self.found[row].clone()).collect();
        Ok(Self { items, found, classes: self.classes.clone(), prepare: self.prepare })
    }

    fn missing(&self, row: usize) -> Error {
        Error::Images(format!("image {row} is asked for; there are {}", self.len()))
    }

    /// As [`Images::channel_stats`](crate::Images::channel_stats).
    ///
    /// # Errors
    /// [`Error::Images`] for no pictures.
    pub fn channel_stats(&self) -> Result<ChannelStats> {
        let mut sums = vec![(0, 0); self.prepare.channels];
        for found in &self.found {
            for ((sum, squares), (more, of_squares)) in sums.iter_mut().zip(&found.sums) {
                *sum += more;
                *squares += of_squares;
            }
        }
        stats_of_sums(&sums, self.len() * self.prepare.height * self.prepare.width)
    }

    /// As [`Images::fingerprint`](crate::Images::fingerprint).
    pub fn fingerprint(&self) -> String {
        let size = self.shape().iter().product::<usize>() as u64;
        let mut hash = crc32fast::Hasher::new();
        for found in &self.found {
            hash.combine(&crc32fast::Hasher::new_with_initial_len(found.crc, size));
        }
        hash.update(&self.labels());
        format!("{} images of {:?}, crc {:08x}", self.len(), self.shape(), hash.finalize())
    }
}
