/*
 * Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
 * the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
 *
 * Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
 * an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
 * specific language governing permissions and limitations under the License.
 */
package io.shardflow.nifi.processors;

import java.nio.charset.StandardCharsets;
import java.security.PrivateKey;
import java.util.Base64;

/** Private keys as text, the form in which they cross to the native side. */
final class PrivateKeys {

    private static final int LINE_LENGTH = 64;

    private PrivateKeys() {}

    /** The key as an unencrypted PKCS #8 PEM document. */
    static String pem(final PrivateKey key) {
        final byte[] encoded = key.getEncoded();
        if (encoded == null) {
            throw new IllegalStateException("The Private Key Service holds a key that cannot be exported");
        }
        final String body = Base64.getMimeEncoder(LINE_LENGTH, "\n".getBytes(StandardCharsets.US_ASCII))
                .encodeToString(encoded);
        return "-----BEGIN PRIVATE KEY-----\n" + body + "\n-----END PRIVATE KEY-----\n";
    }
}
