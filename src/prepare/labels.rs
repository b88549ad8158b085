//! Label maps of pictures whose colours stand for classes, such as maps.

use super::{Made, Put, Tool, Work, other_pages};
use crate::data::{
    Attributes, Class, Domain, Look, Notes, Picture, PictureStack, StoredType, colours,
};
use crate::error::{Error, Result};

/// For every pixel the class whose colour is nearest, by the squares of the differences of red, green and blue, the
/// first of equals: an indexed picture with the values and colours of the classes.
#[derive(Clone, Debug)]
pub struct Labels {
    domain: Domain,
}

impl Labels {
    /// With these classes, each with a colour and with a value of 0 to 255 or its place.
    ///
    /// # Errors
    /// Classes without a colour or with a larger value.
    pub fn new(classes: Vec<Class>) -> Result<Labels> {
        let fits = |(i, class): (usize, &Class)| {
            class.colour.is_some() && class.value.map_or(i, usize::from) <= usize::from(u8::MAX)
        };
        match classes.iter().enumerate().find(|class| !fits(*class)) {
            Some((_, class)) => Err(Error::input(format!(
                "the class {} has no colour or a value above 255: indexed pictures have values of 0 to 255",
                class.name
            ))),
            None => Ok(Labels { domain: Domain { palette: Some(classes), ..Domain::default() } }),
        }
    }
}

impl Tool for Labels {
    fn make(&self, work: &Work, put: Put) -> Result<()> {
        let stack = PictureStack::read(&work.file)?;
        let (place, lost) = (stack.attributes.place.clone(), other_pages(&stack.header));
        let mut palette = None;
        let mut made = |picture: Picture| -> Result<_> {
            let (rgb, notes) = colours(picture, Look::RGB, &work.file)?;
            let (labels, of_classes) =
                self.domain.classified(&rgb).expect("its classes have colours and 8-bit values");
            palette = Some(of_classes);
            Ok((labels, notes))
        };
        let all = stack.into_pictures().map(&mut made).collect::<Result<Vec<_>>>()?;
        let (pages, notes): (_, Vec<Notes>) = all.into_iter().unzip();
        let attributes = Attributes { place, palette, ..Attributes::new(StoredType::U8) };
        put(Made { name: work.name.clone(), pages, attributes, lost }, notes.first().copied())
    }
}
