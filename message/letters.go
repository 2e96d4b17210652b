package message

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Letters as the browser has them too: what one letter becomes that is one letter again. Where the two disagree about a letter, because one of
// them looks at the whole word or makes two letters of one, it stays as it is. web/src/letters.ts does the same.

// small writes text in small letters.
func small(text string) string { return strings.Map(smallLetter, text) }

func smallLetter(c rune) rune {
	if c == '\u0130' { // İ: i and a dot in the browser
		return c
	}
	return unicode.ToLower(c)
}

// large writes one letter large.
func large(c rune) rune {
	if c >= 0x1F80 && c <= 0x1FAF || c == 0x1FB3 || c == 0x1FC3 || c == 0x1FF3 { // ᾳ and its like: two letters in the browser
		return c
	}
	return unicode.ToUpper(c)
}

func sentenceCase(s string) string {
	first, size := utf8.DecodeRuneInString(s)
	if second, _ := utf8.DecodeRuneInString(s[size:]); smallLetter(second) != second {
		return s // eCO₂
	}
	return string(large(first)) + s[size:]
}

// trimmed leaves out what is blank around text.
func trimmed(text string) string {
	return strings.TrimFunc(text, func(c rune) bool { return unicode.IsSpace(c) && c != '\u0085' || c == '\ufeff' })
}

// isControl says whether a letter is none, but an order to whoever prints it.
func isControl(c rune) bool { return c < ' ' || c >= 0x7f && c < 0xa0 }

// turns says whether a letter turns the direction of all that follows, beyond its own text.
func turns(c rune) bool { return c >= '\u202a' && c <= '\u202e' || c >= '\u2066' && c <= '\u2069' }

// clean is text as a person is shown it: on one line, and in the direction of the page.
func clean(text string) string {
	return trimmed(strings.Map(func(c rune) rune {
		switch {
		case turns(c):
			return -1
		case isControl(c), c == '\u2028', c == '\u2029':
			return ' '
		}
		return c
	}, text))
}
