package access

import (
	"crypto"
	"encoding/base64"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json" // refuses duplicate members and names that differ in case only
)

const (
	maxToken = 4 << 10   // bytes of a key that are looked at
	issuer   = "trellis" // whose tokens we take
)

// claims is what a key says about itself. Times are whole seconds and must be numbers.
type claims struct {
	Issuer    string `json:"iss"`
	Subject   string `json:"sub"`
	ID        string `json:"jti"`
	Issued    int64  `json:"iat"`
	NotBefore int64  `json:"nbf,omitempty"`
	Expires   int64  `json:"exp,omitempty"`
}

// sign makes the token of a new key.
func (s *Signer) sign(sub Subject, id string, at, until time.Time) (string, error) {
	c := claims{Issuer: issuer, Subject: sub.String(), ID: id, Issued: at.Unix()}
	if !until.IsZero() {
		c.Expires = until.Unix()
	}
	text, err := json.Marshal(c)
	if err != nil {
		return "", err
	}
	jws, err := s.signer.Sign(text)
	if err != nil {
		return "", err
	}
	return jws.CompactSerialize()
}

// read gives the claims of a token of ours. It checks one signature whatever the token is, so that its time tells nothing.
func (s *Signer) read(token string, at time.Time) (claims, bool) {
	jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.ES256})
	readable := err == nil && s.plainHeader(jws)
	if !readable {
		jws = s.decoy
	}
	payload, err := jws.Verify(s.public)
	if err != nil || !readable {
		return claims{}, false
	}
	var c claims
	if err := json.Unmarshal(payload, &c); err != nil {
		return claims{}, false
	}
	return c, c.Issuer == issuer && c.NotBefore <= at.Unix()
}

// plainHeader says whether the header asks for nothing but what we wrote there. Which key to check with is never its choice.
func (s *Signer) plainHeader(jws *jose.JSONWebSignature) bool {
	if len(jws.Signatures) != 1 {
		return false
	}
	h := jws.Signatures[0].Protected
	for name := range h.ExtraHeaders {
		if name != jose.HeaderType {
			return false // crit, b64, jku, x5u and all that is invented later
		}
	}
	return h.KeyID == s.jwk.KeyID && h.JSONWebKey == nil && h.Nonce == ""
}

// thumbprint names a key by its content (RFC 7638).
func thumbprint(jwk jose.JSONWebKey) (string, error) {
	sum, err := jwk.Thumbprint(crypto.SHA256)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(sum), nil
}
