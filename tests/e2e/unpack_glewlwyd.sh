#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Unpacks glewlwyd and what it needs into a folder, for test_glewlwyd.py. Nothing is installed or
# started, and no root is needed: the package's own installation would bring a database's client
# and a service with it.
#
#   tests/e2e/unpack_glewlwyd.sh FOLDER;  WEIR_GLEWLWYD=FOLDER ctest -R e2e.glewlwyd
set -euo pipefail
mkdir -p "$1"
cd "$1"
apt-get download glewlwyd glewlwyd-common libconfig9 libmariadb3 liborcania2.3 libyder2.0 \
    libhoel1.4 librhonabwy1.1 libmicrohttpd12 libulfius2.7 libiddawc1.1 liboath0
for package in *.deb; do
    dpkg -x "$package" .
done
rm -- *.deb
