/*
 * Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
 * the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
 *
 * Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
 * an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
 * specific language governing permissions and limitations under the License.
 */
package io.shardflow.nifi.bridge;

/**
 * Describes one part of a batch: what will become one FlowFile. Constructed by native code.
 *
 * @param batch id of the batch, for {@link KinesisSource#read} and {@link KinesisSource#settle}
 * @param part index of the part in its batch
 * @param failed whether the content is a payload that could not become a row
 * @param length content length in bytes
 * @param records number of records in the content
 * @param transitUri where the records came from, for provenance
 * @param attributes complete FlowFile attributes, pairs of name and value
 */
public record PartHeader(
        long batch, int part, boolean failed, long length, long records, String transitUri, String[] attributes) {}
