/*
 * Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
 * the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
 *
 * Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
 * an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
 * specific language governing permissions and limitations under the License.
 */
package io.shardflow.nifi.bridge;

import java.security.KeyPairGenerator;
import java.security.NoSuchAlgorithmException;
import java.util.Base64;
import java.util.Map;

/** Complete configurations against an address of the test's. */
final class Configurations {

    private Configurations() {}

    static Map<String, String> source(final String address) {
        return Map.of(
                "Stream Name", "stream",
                "Application Name", "application",
                "Region", "us-west-2",
                "AWS Access Key ID", "AKIATEST",
                "AWS Secret Access Key", "secret",
                "Endpoint Override URL", "http://" + address,
                "Node Id", "node");
    }

    static Map<String, String> sink(final String address) throws NoSuchAlgorithmException {
        final byte[] key = KeyPairGenerator.getInstance("RSA")
                .generateKeyPair()
                .getPrivate()
                .getEncoded();
        return Map.of(
                "Authentication Strategy",
                "KEY_PAIR",
                "Account",
                "org-account",
                "User",
                "USER",
                "Private Key",
                "-----BEGIN PRIVATE KEY-----\n" + Base64.getMimeEncoder().encodeToString(key)
                        + "\n-----END PRIVATE KEY-----\n",
                "Snowflake Endpoint Override URL",
                "https://" + address,
                "Offset Tracking Resolution",
                "RECORD",
                "Offset Token Record Pointer",
                "/n");
    }

    static Map<String, String> upload() {
        return Map.of(
                "Database", "DB",
                "Schema", "PUBLIC",
                "Table", "T",
                "Channel Group", "channel",
                "Offset Token Start", "1",
                "Offset Token End", "2",
                "Size", "16");
    }
}
