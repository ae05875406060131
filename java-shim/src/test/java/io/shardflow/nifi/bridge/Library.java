/*
 * Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
 * the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
 *
 * Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
 * an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
 * specific language governing permissions and limitations under the License.
 */
package io.shardflow.nifi.bridge;

import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Assertions;
import org.junit.jupiter.api.Assumptions;

/** The real library, when it was built; CI always has it. */
final class Library {

    private Library() {}

    static Path file() {
        return Path.of("..", "nar-packaging", "native", System.mapLibraryName(NativeLibrary.name()))
                .toAbsolutePath()
                .normalize();
    }

    /** Skips the calling test without the library, and fails it in CI. */
    static void require() {
        if (!Files.isRegularFile(file())) {
            Assertions.assertNull(System.getenv("CI"), () -> file() + " is missing: run 'cargo xtask natives'");
            Assumptions.abort(file() + " is not built");
        }
    }

    /** Loads it into this class loader. */
    static void load() {
        require();
        System.setProperty(NativeLibrary.FILE_PROPERTY, file().toString());
        NativeLibrary.load();
    }
}
