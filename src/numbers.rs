//! Numbers on the wire that have names.

/// Declares an enum whose variants are the names of numbers, with the conversions from and to the number. A number
/// without a name is kept as `Other`.
macro_rules! numbers {
    (
        $(#[$enum_doc:meta])*
        pub enum $name:ident: $int:ty {
            $($(#[$doc:meta])* $variant:ident = $number:literal,)+
        }
    ) => {
        $(#[$enum_doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $(
                $(#[$doc])*
                #[doc = concat!("\n\nIts number is ", stringify!($number), ".")]
                $variant,
            )+
            /// A number without a name here. Conversions from a number give this for no other.
            Other($int),
        }

        impl $name {
            /// The name of a number.
            #[inline]
            pub const fn from_number(number: $int) -> Self {
                match number {
                    $($number => Self::$variant,)+
                    other => Self::Other(other),
                }
            }

            /// The number on the wire.
            #[inline]
            pub const fn number(self) -> $int {
                match self {
                    $(Self::$variant => $number,)+
                    Self::Other(other) => other,
                }
            }
        }

        impl From<$int> for $name {
            #[inline]
            fn from(number: $int) -> Self {
                Self::from_number(number)
            }
        }

        impl From<$name> for $int {
            #[inline]
            fn from(name: $name) -> Self {
                name.number()
            }
        }
    };
}

pub(crate) use numbers;

#[cfg(test)]
mod tests {
    numbers! {
        /// For the test.
        pub enum Few: u8 {
            /// The first.
            One = 1,
            /// The other.
            Three = 3,
        }
    }

    #[test]
    fn every_number_is_kept() {
        for number in 0..=u8::MAX {
            assert_eq!(u8::from(Few::from(number)), number);
        }
        assert_eq!([1, 2, 3].map(Few::from_number), [Few::One, Few::Other(2), Few::Three]);
    }
}
