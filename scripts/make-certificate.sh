#!/bin/sh
# A certificate that nobody vouches for, to try RTMPS out with.
set -eu

usage() {
    cat <<'EOF'
Usage: make-certificate.sh [--days N] [--out DIR] [NAME…]
Makes cert.pem and key.pem, self-signed, for these host names or addresses
(localhost and 127.0.0.1 if none is given), and says how to start gortmp.

  --days N    valid for N days [365]
  --out DIR   where to put the two files [.]
  -h, --help  print this

Clients trust it only if they are told to, or told not to check.
EOF
}

days=365
out=.
while [ $# -gt 0 ]; do
    case $1 in
    -h | --help)
        usage
        exit 0
        ;;
    --days | --out)
        [ $# -ge 2 ] || {
            echo "make-certificate.sh: $1 needs a value (see make-certificate.sh --help)" >&2
            exit 2
        }
        case $1 in --days) days=$2 ;; *) out=$2 ;; esac
        shift 2
        ;;
    -*)
        echo "make-certificate.sh: unknown option $1 (see make-certificate.sh --help)" >&2
        exit 2
        ;;
    *) break ;;
    esac
done
[ $# -gt 0 ] || set -- localhost 127.0.0.1
command -v openssl >/dev/null || {
    echo "make-certificate.sh: openssl is missing: install it with apt-get install openssl" >&2
    exit 1
}

names=
for name in "$@"; do
    # An address has colons, or digits and dots only.
    case $name in
    *:*) kind=IP ;;
    *[!0-9.]*) kind=DNS ;;
    *) kind=IP ;;
    esac
    names=$names${names:+,}$kind:$name
done

mkdir -p "$out"
umask 077
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days "$days" \
    -subj "/CN=$1" -addext "subjectAltName=$names" -keyout "$out/key.pem" -out "$out/cert.pem" 2>/dev/null || {
    echo "make-certificate.sh: openssl could not make it for $names valid $days days" >&2
    exit 1
}
chmod 644 "$out/cert.pem"
echo "made $out/cert.pem and $out/key.pem for $names, valid $days days; use them with:"
echo "gortmp --tls-listen '[::]:1936' --tls-cert $out/cert.pem --tls-key $out/key.pem"
