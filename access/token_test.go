package access

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

func b64(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

// trusting stores the hash of any token under any id, so that nothing but the token's own form can be its undoing.
func trusting(store *memory, keys *Keys, id, token string) error {
	store.keys = []KeyInfo{{Subject: shed, ID: id, Created: time.Now(), Hash: sha256.Sum256([]byte(token))}}
	return keys.reload(context.Background())
}

// signedAs signs any header and claims with the right key.
func signedAs(t testing.TB, s *Signer, header map[string]any, text string) string {
	t.Helper()
	opts := &jose.SignerOptions{}
	for name, value := range header {
		opts.WithHeader(jose.HeaderKey(name), value)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: s.jwk}, opts)
	if err != nil {
		t.Fatal(err)
	}
	jws, err := signer.Sign([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	token, err := jws.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

const plainClaims = `{"iss":"trellis","sub":"acme:local:shed","jti":"K1","iat":1}`

// Even if a hash of such a token got into the store.
func TestFormOfATokenIsItsOwnCheck(t *testing.T) {
	signer := openSigner(t)
	keys, store := openKeys(t, signer)
	later := time.Now().Add(time.Hour).Unix()
	stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		header map[string]any
		claims string
		want   error
	}{
		"as we sign":             {map[string]any{"typ": "JWT"}, plainClaims, nil},
		"not yet valid":          {nil, fmt.Sprintf(`{"iss":"trellis","sub":"acme:local:shed","jti":"K1","iat":1,"nbf":%d}`, later), ErrKeyUnknown},
		"valid since":            {nil, `{"iss":"trellis","sub":"acme:local:shed","jti":"K1","iat":1,"nbf":2}`, nil},
		"exp as a string":        {nil, `{"iss":"trellis","sub":"acme:local:shed","jti":"K1","exp":"9999999999"}`, ErrKeyUnknown},
		"exp as a list":          {nil, `{"iss":"trellis","sub":"acme:local:shed","jti":"K1","exp":[9999999999]}`, ErrKeyUnknown},
		"exp with a fraction":    {nil, `{"iss":"trellis","sub":"acme:local:shed","jti":"K1","exp":9999999999.5}`, ErrKeyUnknown},
		"iat as a string":        {nil, `{"iss":"trellis","sub":"acme:local:shed","jti":"K1","iat":"1"}`, ErrKeyUnknown},
		"jti as a number":        {nil, `{"iss":"trellis","sub":"acme:local:shed","jti":1}`, ErrKeyUnknown},
		"jti twice":              {nil, `{"iss":"trellis","sub":"acme:local:shed","jti":"K2","jti":"K1"}`, ErrKeyUnknown},
		"sub twice":              {nil, `{"iss":"trellis","sub":"acme:local:pond","sub":"acme:local:shed","jti":"K1"}`, ErrKeyUnknown},
		"an unknown claim twice": {nil, `{"iss":"trellis","sub":"acme:local:shed","jti":"K1","x":1,"x":2}`, ErrKeyUnknown},
		"an unknown claim":       {nil, `{"iss":"trellis","sub":"acme:local:shed","jti":"K1","x":1}`, nil},
		"names in capitals":      {nil, `{"ISS":"trellis","SUB":"acme:local:shed","JTI":"K1"}`, ErrKeyUnknown},
		"another issuer":         {nil, `{"iss":"other","sub":"acme:local:shed","jti":"K1"}`, ErrKeyUnknown},
		"no issuer":              {nil, `{"sub":"acme:local:shed","jti":"K1"}`, ErrKeyUnknown},
		"another subject":        {nil, `{"iss":"trellis","sub":"acme:local:pond","jti":"K1"}`, ErrKeyUnknown},
		"no subject":             {nil, `{"iss":"trellis","jti":"K1"}`, ErrKeyUnknown},
		"a list":                 {nil, `["trellis"]`, ErrKeyUnknown},
		"no JSON":                {nil, `K1`, ErrKeyUnknown},
		"two values":             {nil, plainClaims + plainClaims, ErrKeyUnknown},
		"nothing":                {nil, ``, ErrKeyUnknown},
		"deep":                   {nil, strings.Repeat("[", 1500), ErrKeyUnknown},
		"unknown crit":           {map[string]any{"crit": []string{"exp"}, "exp": 1}, plainClaims, ErrKeyUnknown},
		"empty crit":             {map[string]any{"crit": []string{}}, plainClaims, ErrKeyUnknown},
		"plain payload":          {map[string]any{"crit": []string{"b64"}, "b64": true}, plainClaims, ErrKeyUnknown},
		"address of a key":       {map[string]any{"jku": "https://example.org/jwks.json"}, plainClaims, ErrKeyUnknown},
		"certificate":            {map[string]any{"x5u": "https://example.org/cert"}, plainClaims, ErrKeyUnknown},
		"another key's name":     {map[string]any{"kid": "../../dev/null"}, plainClaims, ErrKeyUnknown},
		"a key inside":           {map[string]any{"jwk": jose.JSONWebKey{Key: &stranger.PublicKey}}, plainClaims, ErrKeyUnknown},
		"nonce":                  {map[string]any{"nonce": "x"}, plainClaims, ErrKeyUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			token := signedAs(t, signer, tt.header, tt.claims)
			if err := trusting(store, keys, "K1", token); err != nil {
				t.Fatal(err)
			}
			if _, err := keys.Verify(token); !errors.Is(err, tt.want) {
				t.Errorf("error %v, want %v", err, tt.want)
			}
		})
	}
}

// mutants are tokens that are not the good one, each with what was done to it.
func mutants(t testing.TB, s *Signer, good string) map[string]string {
	t.Helper()
	all := map[string]string{}
	part := strings.Split(good, ".")
	join := func(header, payload, sig string) string { return header + "." + payload + "." + sig }
	for i := 0; i < len(good); i += 4 {
		all[fmt.Sprint("cut after ", i+1)] = good[:i+1]
		other := byte('A')
		if good[i] == other {
			other = 'B'
		}
		all[fmt.Sprint("other letter at ", i)] = good[:i] + string(other) + good[i+1:]
	}
	delete(all, fmt.Sprint("cut after ", len(good)))
	for _, alg := range []string{"none", "None", "NONE", "nOnE", "", "HS256", "HS512", "RS256", "PS256", "ES384", "ES512", "EdDSA", "es256", "ES256 "} {
		header := b64(fmt.Sprintf(`{"alg":%q,"kid":%q,"typ":"JWT"}`, alg, s.jwk.KeyID))
		all["algorithm "+alg+" with the signature"] = join(header, part[1], part[2])
		all["algorithm "+alg+" without one"] = join(header, part[1], "")
	}
	hs, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: s.JWKS()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, sign := range map[string]jose.Signer{"signed with the public half as a secret": hs, "signed by another": openSigner(t).signer} {
		jws, err := sign.Sign([]byte(plainClaims))
		if err != nil {
			t.Fatal(err)
		}
		if all[name], err = jws.CompactSerialize(); err != nil {
			t.Fatal(err)
		}
	}
	sig, err := base64.RawURLEncoding.DecodeString(part[2])
	if err != nil {
		t.Fatal(err)
	}
	resign := func(b []byte) string { return join(part[0], part[1], base64.RawURLEncoding.EncodeToString(b)) }
	all["signature of zeros"] = resign(make([]byte, 64))
	all["signature too long"] = resign(append(sig[:64:64], 0))
	all["signature too short"] = resign(sig[:63])
	all["signature halves swapped"] = resign(append(sig[32:64:64], sig[:32]...))
	all["signature in the other encoding"] = join(part[0], part[1], base64.StdEncoding.EncodeToString(sig))
	all["signature twice"] = join(part[0], part[1], part[2]+part[2])
	all["signature elsewhere equal"] = resign(mirrored(sig))
	all["claims of another"] = join(part[0], b64(strings.Replace(plainClaims, "shed", "pond", 1)), part[2])
	all["header twice"] = join(b64(`{"alg":"ES256","alg":"none"}`), part[1], part[2])
	all["header no JSON"] = join(b64(`x`), part[1], part[2])
	for _, pad := range []string{"=", "==", "%3D", " ", "\n", "\x00", ".", ".x", "\u202e"} {
		all[fmt.Sprintf("followed by %q", pad)] = good + pad
		all[fmt.Sprintf("led by %q", pad)] = pad + good
		all[fmt.Sprintf("%q in the header", pad)] = join(part[0]+pad, part[1], part[2])
		all[fmt.Sprintf("%q in the claims", pad)] = join(part[0], part[1]+pad, part[2])
	}
	all["as JSON"] = fmt.Sprintf(`{"protected":%q,"payload":%q,"signature":%q}`, part[0], part[1], part[2])
	all["with its scheme"] = "Bearer " + good
	all["in capitals"] = strings.ToUpper(good)
	all["just over 4 KiB"] = good + strings.Repeat("=", maxToken)
	all["a mebibyte"] = strings.Repeat("a", 1<<20)
	all["a mebibyte of dots"] = strings.Repeat(".", 1<<20)
	all["dots"] = ".."
	all["not UTF-8"] = "\xff\xfe.\xff.\xff"
	return all
}

// mirrored gives the other signature that is as true by the mathematics of the curve.
func mirrored(sig []byte) []byte {
	out := append([]byte(nil), sig...)
	order := elliptic.P256().Params().N.Bytes()
	borrow := 0
	for i := 31; i >= 0; i-- {
		d := int(order[i]) - int(sig[32+i]) - borrow
		borrow = 0
		if d < 0 {
			d, borrow = d+256, 1
		}
		out[32+i] = byte(d)
	}
	return out
}

func TestNoMutantOfAKeyIsAKey(t *testing.T) {
	signer := openSigner(t)
	keys, _ := openKeys(t, signer)
	good := mustAdd(t, keys, shed, noEnd).Key
	all := mutants(t, signer, good)
	if len(all) < 200 {
		t.Errorf("only %d mutants", len(all))
	}
	for name, token := range all {
		if token == good || token == "" {
			t.Errorf("%s: is no mutant", name)
			continue
		}
		if g, err := keys.Verify(token); err != ErrKeyUnknown { // exactly: no cause may show through
			t.Errorf("%s: %v, %v", name, g, err)
		}
	}
	if _, err := keys.Verify(good); err != nil {
		t.Error(err)
	}
}

// A key that we signed but never stored, such as after a restored backup, is nobody's.
func TestSignedButNotStoredIsUnknown(t *testing.T) {
	signer := openSigner(t)
	keys, _ := openKeys(t, signer)
	made := mustAdd(t, keys, shed, noEnd)
	again, err := signer.sign(shed, made.JTI, time.Now().Add(-time.Hour), noEnd)
	if err != nil {
		t.Fatal(err)
	}
	unknown, err := signer.sign(shed, "NOBODY", time.Now(), noEnd)
	if err != nil {
		t.Fatal(err)
	}
	for _, token := range []string{again, unknown} {
		if _, err := keys.Verify(token); err != ErrKeyUnknown {
			t.Errorf("error %v", err)
		}
	}
}

func FuzzVerify(f *testing.F) {
	signer := openSigner(f)
	keys, _ := openKeys(f, signer)
	good := mustAdd(f, keys, shed, noEnd).Key
	f.Add(good)
	for _, token := range mutants(f, signer, good) {
		if len(token) < 1000 {
			f.Add(token)
		}
	}
	f.Fuzz(func(t *testing.T, token string) {
		_, err := keys.Verify(token)
		switch {
		case token == good && err == nil, token == "" && err == ErrKeyMissing:
		case token != good && token != "" && err == ErrKeyUnknown:
		default:
			t.Errorf("%q: %v", token, err)
		}
	})
}

func TestTokensAreSmall(t *testing.T) {
	long := strings.Repeat("x", 64)
	keys, _ := openKeys(t, openSigner(t))
	made := mustAdd(t, keys, Subject{long, long, long}, time.Now().Add(time.Hour))
	if len(made.Key) > 1024 {
		t.Errorf("a key of %d bytes", len(made.Key))
	}
	text, err := json.Marshal(made)
	if err != nil || !strings.HasPrefix(string(text), `{"entity":"`+long+`","sub":"`) || !strings.Contains(string(text), `"jti":"`+made.JTI+`","key":"`) {
		t.Errorf("%s, %v", text, err)
	}
}
