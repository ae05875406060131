/*
 * Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
 * the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
 *
 * Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
 * an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
 * specific language governing permissions and limitations under the License.
 */
package io.shardflow.nifi;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Set;
import java.util.jar.Attributes;
import java.util.jar.JarInputStream;
import java.util.jar.Manifest;
import java.util.stream.Collectors;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** The archive that users install. */
class NarContentIT {

    private static final String BUNDLED = "META-INF/bundled-dependencies/";
    private static final List<String> PROCESSORS = List.of(
            "io.shardflow.nifi.processors.ConsumeKinesis", "io.shardflow.nifi.processors.PublishSnowpipeStreaming");

    private ZipFile nar;

    @BeforeEach
    void open() throws IOException {
        nar = new ZipFile(System.getProperty("nar"));
    }

    @AfterEach
    void close() throws IOException {
        nar.close();
    }

    @Test
    void manifestNamesTheBundleAndItsParent() throws IOException {
        final Attributes manifest = new Manifest(stream("META-INF/MANIFEST.MF")).getMainAttributes();
        assertEquals("io.shardflow", manifest.getValue("Nar-Group"));
        assertEquals("shardflow-nar", manifest.getValue("Nar-Id"));
        assertEquals("org.apache.nifi", manifest.getValue("Nar-Dependency-Group"));
        assertEquals("nifi-aws-service-api-nar", manifest.getValue("Nar-Dependency-Id"));
    }

    @Test
    void nothingThatNifiProvidesIsInside() {
        final Set<String> jars = names().stream()
                .filter(name -> name.startsWith(BUNDLED) && name.endsWith(".jar"))
                .map(name -> name.substring(BUNDLED.length()).replaceFirst("-\\d.*", ""))
                .collect(Collectors.toSet());
        assertEquals(Set.of("shardflow-processors"), jars);
    }

    @Test
    void oneLibraryForEachPlatformAndNothingElse() throws IOException {
        final List<String> libraries = names().stream()
                .filter(name -> name.startsWith(BUNDLED + "native/") && !name.endsWith("/"))
                .map(name -> name.substring((BUNDLED + "native/").length()))
                .toList();
        assertFalse(libraries.isEmpty());
        for (final String library : libraries) {
            assertTrue(
                    library.matches("(lib)?shardflow-(linux|macos|windows)-(x86_64|aarch64)\\.(so|dylib|dll)"),
                    library);
        }
        assertEquals(libraries.size(), Set.copyOf(libraries).size());
    }

    @Test
    void librariesTellNothingOfWhereTheyWereBuilt() throws IOException {
        final String home = System.getProperty("user.home");
        for (final String name : names()) {
            if (name.startsWith(BUNDLED + "native/") && !name.endsWith("/")) {
                final String content = new String(bytes(name), StandardCharsets.ISO_8859_1);
                assertFalse(content.contains(home + "/.cargo/"), name);
                assertFalse(content.contains(System.getProperty("user.dir")), name);
            }
        }
    }

    @Test
    void licencesAreInside() throws IOException {
        assertTrue(text("META-INF/LICENSE").contains("Apache License"));
        assertFalse(text("META-INF/NOTICE").isBlank());
        assertFalse(text("META-INF/THIRD-PARTY-LICENSES").isBlank());
    }

    @Test
    void processorsAreListedAndDocumented() throws IOException {
        final String jar = names().stream()
                .filter(name -> name.startsWith(BUNDLED) && name.endsWith(".jar"))
                .findFirst()
                .orElseThrow();
        assertEquals(PROCESSORS, services(bytes(jar)));
        final String documentation = text("META-INF/docs/extension-manifest.xml");
        for (final String processor : PROCESSORS) {
            assertTrue(documentation.contains("<name>" + processor + "</name>"), processor);
            assertFalse(text("META-INF/docs/additional-details/" + processor + "/additionalDetails.md")
                    .isBlank());
        }
    }

    private static List<String> services(final byte[] jar) throws IOException {
        try (JarInputStream entries = new JarInputStream(new ByteArrayInputStream(jar))) {
            for (ZipEntry entry = entries.getNextEntry(); entry != null; entry = entries.getNextEntry()) {
                if ("META-INF/services/org.apache.nifi.processor.Processor".equals(entry.getName())) {
                    return new String(entries.readAllBytes(), StandardCharsets.UTF_8)
                            .lines()
                            .toList();
                }
            }
        }
        return List.of();
    }

    private List<String> names() {
        return nar.stream().map(ZipEntry::getName).toList();
    }

    private InputStream stream(final String name) throws IOException {
        final ZipEntry entry = nar.getEntry(name);
        assertNotNull(entry, name);
        return nar.getInputStream(entry);
    }

    private byte[] bytes(final String name) throws IOException {
        try (InputStream content = stream(name)) {
            return content.readAllBytes();
        }
    }

    private String text(final String name) throws IOException {
        return new String(bytes(name), StandardCharsets.UTF_8);
    }
}
