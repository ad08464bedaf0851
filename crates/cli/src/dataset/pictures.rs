//! Labelled images in the host's memory, or in files that are decoded when they are used.

use std::borrow::Cow;
use std::sync::Arc;

use wgrad::data::folder::Files;
use wgrad::data::{ChannelStats, Images};

use crate::Result;

/// Images of a data set.
#[derive(Clone)]
pub(crate) enum Pictures {
    Host(Arc<Images>),
    Files(Arc<Files>),
}

impl From<Images> for Pictures {
    fn from(images: Images) -> Self {
        Self::Host(Arc::new(images))
    }
}

impl From<Files> for Pictures {
    fn from(files: Files) -> Self {
        Self::Files(Arc::new(files))
    }
}

impl Pictures {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Host(images) => images.len(),
            Self::Files(files) => files.len(),
        }
    }

    pub(crate) fn shape(&self) -> [usize; 3] {
        match self {
            Self::Host(images) => images.shape(),
            Self::Files(files) => files.shape(),
        }
    }

    pub(crate) fn classes(&self) -> &[String] {
        match self {
            Self::Host(images) => &images.classes,
            Self::Files(files) => files.classes(),
        }
    }

    pub(crate) fn labels(&self) -> Cow<'_, [u8]> {
        match self {
            Self::Host(images) => Cow::Borrowed(&images.labels),
            Self::Files(files) => Cow::Owned(files.labels()),
        }
    }

    pub(crate) fn image(&self, i: usize) -> Result<Cow<'_, [u8]>> {
        Ok(match self {
            Self::Host(images) => Cow::Borrowed(images.image(i).unwrap_or_default()),
            Self::Files(files) => Cow::Owned(files.image(i)?),
        })
    }

    pub(crate) fn channel_stats(&self) -> Result<ChannelStats> {
        Ok(match self {
            Self::Host(images) => images.channel_stats()?,
            Self::Files(files) => files.channel_stats()?,
        })
    }

    pub(crate) fn select(&self, rows: &[usize]) -> Result<Self> {
        Ok(match self {
            Self::Host(images) => images.select(rows)?.into(),
            Self::Files(files) => files.select(rows)?.into(),
        })
    }
}
